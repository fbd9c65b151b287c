"""The domain that somebody registers: `auth.docker.io` and `registry-1.docker.io` are both `docker.io`. PURE.

Not the whole public suffix list, which changes weekly: the usual second levels of country domains, and the shared
domains under which strangers get names and registries are hosted. Where this errs towards a longer suffix,
credentials are withheld, and `Upstream.trusted_realms` helps.
"""

_SECOND_LEVELS = frozenset({
    "ac", "co", "com", "edu", "go", "gob", "gov", "gouv", "gv", "id", "info", "ltd", "me", "mil", "ne", "net", "nhs",
    "nom", "or", "org", "plc", "sch", "web",
})  # fmt: skip

# Below these, every name may be somebody else's.
_SHARED = (
    "amazonaws.com", "amazonaws.com.cn", "appspot.com", "azurecr.io", "azurecr.cn", "azurefd.net", "azureedge.net",
    "azurewebsites.net", "azurecontainer.io", "blob.core.windows.net", "cloudapp.azure.com", "cloudapp.net",
    "cloudfront.net", "codeberg.page", "deno.dev", "duckdns.org", "firebaseapp.com", "fly.dev", "github.dev",
    "github.io", "gitlab.io", "herokuapp.com", "jfrog.io", "myshopify.com", "netlify.app", "ngrok.app", "ngrok.io",
    "ngrok-free.app", "nip.io", "ondigitalocean.app", "onrender.com", "pages.dev", "pkg.dev", "r2.dev",
    "railway.app", "readthedocs.io", "run.app", "scw.cloud", "sslip.io", "trycloudflare.com", "vercel.app",
    "web.app", "workers.dev", "xip.io",
)  # fmt: skip


def registrable_domain(host: str) -> str:
    """The registrable part of a host name (lowercase, no port). A name that is itself a suffix is returned whole."""
    name = host.lower().rstrip(".")
    labels = name.split(".")
    keep = _suffix_labels(name, labels) + 1
    return ".".join(labels[-keep:])


def _suffix_labels(name: str, labels: list[str]) -> int:
    for suffix in _SHARED:
        if name == suffix or name.endswith(f".{suffix}"):
            return suffix.count(".") + 1
    if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVELS:
        return 2
    return 1


def same_registrable_domain(one: str, other: str) -> bool:
    """False for addresses, and for single labels (`localhost`, `registry`), which nobody registered."""
    if one.rpartition(".")[2].isdigit() or ":" in one or ":" in other:
        return False
    first, second = registrable_domain(one), registrable_domain(other)
    return first == second and "." in first
