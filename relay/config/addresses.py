"""Which of the configured addresses are refused: those where no Slack and no Letta is, but secrets are told.

An operator's own machine and network are good addresses. What comes from outside is looked at by who takes
it: `relay.slack.hosts`.
"""

import ipaddress
import re
import socket
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from relay.config.variables import Reading

ALLOWED = "RELAY_ALLOWED_HOSTS"
# Where a cloud tells a machine its own credentials, to whoever asks from there; most of them are link-local.
_METADATA_NAMES = frozenset({"metadata.google.internal", "metadata.goog", "instance-data"})
_METADATA_ADDRESSES = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200")))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NUMBERS = re.compile(r"[0-9a-fA-FxX.]+")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def refuse_bad_addresses(reading: Reading, addresses: Mapping[str, str]) -> None:
    """Note of each address, by the setting that gives it, why relay does not go there, if it does not."""
    allowed = {one.strip().strip("[]").lower() for one in reading.value(ALLOWED).split(",")}
    for where, url in addresses.items():
        _refuse_bad_address(reading, where, url, allowed)


def _refuse_bad_address(reading: Reading, where: str, url: str, allowed: Collection[str]) -> None:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:  # malformed, which is said already
        return
    if parts.username is not None or parts.password is not None:
        said = "has a name or a password in it, which logs would tell; secrets have settings of their own"
        reading.problems.append(f"{where} {said}")
    elif host not in allowed and _tells_secrets(host):
        said = f"leads to {host}: link-local, or where a cloud tells its machines their credentials"
        reading.problems.append(f"{where} {said}; if that is meant, name the host in {ALLOWED}")


def _tells_secrets(host: str) -> bool:
    if host in _METADATA_NAMES:
        return True
    address = _address(host)
    return address is not None and (address.is_link_local or address in _METADATA_ADDRESSES)


def _address(host: str) -> _Address | None:
    """Return the address that a host is written as, in whichever way a resolver reads one; None: a name."""
    try:
        found: _Address = ipaddress.ip_address(host)
    except ValueError:
        # 2852039166, 0xa9fea9fe and 169.254.43518 are the same address to a resolver.
        if not _NUMBERS.fullmatch(host):
            return None
        try:
            return ipaddress.ip_address(socket.inet_aton(host))
        except OSError:
            return None
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        return inner or found
    return found
