"""Exit code 0 if a URL answers 200: `healthcheck.py http://127.0.0.1:5050/v2/`. For images, which have no curl.

Standard library alone, so that asking every few seconds costs no more than an interpreter's start.
"""

import http.client
import sys
from urllib.parse import urlsplit

_LIMIT_SECONDS = 3.0


def check(url: str) -> str:
    """What is wrong, "" if nothing is."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=_LIMIT_SECONDS)
    try:
        connection.request("GET", parts.path or "/")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{url}: {str(error) or type(error).__name__}"
    finally:
        connection.close()
    return "" if status == 200 else f"{url}: status {status}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: healthcheck.py URL")
    sys.exit(check(sys.argv[1]) or 0)
