"""The registry client: any OCI registry, its authentication, redirects, ranges, resume, retries and caps.

`open_origin` gives an `Origin`; everything that goes wrong comes out as the errors of agent.content.errors.
"""
