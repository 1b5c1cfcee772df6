"""Which proxy the process environment names, for a library that does not look for it as the others do."""

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def proxy_for(url: str) -> str | None:
    """Return the proxy that HTTPS_PROXY or HTTP_PROXY names for an address, unless NO_PROXY has its host."""
    parts = urlsplit(url)
    if not parts.hostname or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme.replace("ws", "http", 1))
