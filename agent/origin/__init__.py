"""Upstream registries: client, token auth, credentials, redirects. The only home of httpx."""
