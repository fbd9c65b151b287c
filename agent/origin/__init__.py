"""The registry client: any OCI registry, its authentication, redirects, ranges, resume, retries and caps.

The only home of httpx and httpcore, so that they can be exchanged. `open_origin` gives an `Origin`; everything that
goes wrong comes out as the errors of agent.content.errors.
"""
