"""The registry client: any OCI registry, its authentication, redirects, ranges, resume, retries and caps.

The only home of httpx and httpcore, so that they can be exchanged. `open_origin` gives an `Origin`; everything that
goes wrong comes out as the errors of agent.content.errors.
"""

import sys

# httpx brings a command line of its own (httpx._main), drawn with rich and pygments: 3.4 MiB of every node's memory
# that nothing here uses. httpx goes without it where its import fails, and this makes it fail.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
