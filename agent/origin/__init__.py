"""The registry client: any OCI registry, its authentication, redirects, ranges, resume, retries and caps.

`open_origin` gives an `Origin`; everything that goes wrong comes out as the errors of agent.content.errors.
"""

import sys

# httpx would load its own command line, with rich and pygments: 4 MiB in every node. It goes without where that cannot
# be imported, which None here stands for (The Python Language Reference, 5.3.1).
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
