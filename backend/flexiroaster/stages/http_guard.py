"""Which addresses an http stage may reach: public ones, and what an administrator allowed.

The guard is asked at the moment of connecting and answers with the addresses to connect to. A name that changes its
address between check and use (DNS rebinding) therefore gains nothing.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit

from flexiroaster.engine.errors import StageFailed

Resolve = Callable[[str, int], Sequence[str]]
"""Host and port to addresses as text. Raises OSError where the name is unknown."""

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#\\\x80-\U0010ffff]+(?:[/?#]|$)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")
"""With backslashes, which parsers read differently."""

_CLOSED_V4 = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "unspecified"),
        ("127.0.0.0/8", "loopback"),
        ("10.0.0.0/8", "private"),
        ("172.16.0.0/12", "private"),
        ("192.168.0.0/16", "private"),
        ("100.64.0.0/10", "private (carrier network)"),
        ("169.254.0.0/16", "link-local (cloud metadata)"),
        ("168.63.129.16/32", "cloud metadata"),
        ("192.0.0.0/24", "reserved"),
        ("192.88.99.0/24", "reserved (6to4)"),
        ("198.18.0.0/15", "reserved (benchmarks)"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_CLOSED_V6 = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("fc00::/7", "private"),
        ("ff00::/8", "multicast"),
        ("2001::/23", "reserved"),
        ("2002::/16", "reserved (6to4)"),
        ("3fff::/20", "reserved (documentation)"),
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


class AddressRefused(StageFailed):
    """A URL or the address behind it is closed to http stages."""

    def __init__(self, message: str, suggestion: str | None = None) -> None:
        super().__init__(message, code="address_refused", suggestion=suggestion)


def system_resolve(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Guard:
    """Decides for one stage. `allow` holds `host:port` entries (`[::1]:8080` for IPv6)."""

    def __init__(self, allow: Iterable[str] = (), resolve: Resolve = system_resolve) -> None:
        self._allow = frozenset(_allowed(entry) for entry in allow)
        self._resolve = resolve

    def check_url(self, url: str) -> None:
        """Refuse what can be refused by reading alone: scheme, credentials, odd characters and notations."""
        if _CONTROL.search(url):
            raise AddressRefused(f"The URL {_short(url)!r} holds a backslash or control character: percent-encode it.")
        parts = urlsplit(url)
        if parts.scheme.lower() not in {"http", "https"}:
            raise AddressRefused(
                f"The URL {_short(url)!r} does not begin with http:// or https://: http stages speak nothing else."
            )
        if "@" in parts.netloc:
            raise AddressRefused(
                f"The URL of host {parts.hostname!r} holds a user name: put credentials into `auth` instead."
            )
        if not _AUTHORITY.match(url):
            raise AddressRefused(
                f"The URL {_short(url)!r} names no plain host: write it in ASCII (xn--… for other letters)."
            )

    def addresses(self, host: str, port: int) -> list[str]:
        """The checked addresses to connect to. Raises AddressRefused, or OSError where the name is unknown."""
        name = _normal(host)
        if (name, port) in self._allow:
            return list(self._resolve(name, port))
        _check_notation(name)
        addresses = list(self._resolve(name, port))
        for address in addresses:
            self._check_address(name, port, address)
        return addresses

    def _check_address(self, host: str, port: int, text: str) -> None:
        address = ipaddress.ip_address(text.partition("%")[0])
        if (str(address), port) in self._allow:
            return
        kind = why_closed(address)
        if kind:
            shown = f"{host} ({address})" if host != str(address) else host
            entry = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            raise AddressRefused(
                f"The address of {shown} is {kind}: http stages reach public addresses only.",
                f"An administrator can allow it: FLEXIROASTER_HTTP_ALLOW={entry}",
            )


def why_closed(address: IPv4Address | IPv6Address) -> str | None:
    """The kind of a closed address, None for a public one. IPv4 inside IPv6 is judged as IPv4."""
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        return why_closed(inner) if inner else _why_closed_v6(address)
    for network, kind in _CLOSED_V4:
        if address in network:
            return kind
    return None if address.is_global else "reserved"


def _why_closed_v6(address: IPv6Address) -> str | None:
    for network, kind in _CLOSED_V6:
        if address in network:
            return kind
    return None if address in _GLOBAL_V6 and address.is_global else "reserved"


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped


def _check_notation(host: str) -> None:
    """Addresses are written one way only; `0x7f.1`, `2130706433` or `[::ffff:127.0.0.1]` are disguises."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        last = host.rpartition(".")[2]
        numeric = last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last) is not None
        if numeric or not _NAME.fullmatch(host):
            raise AddressRefused(
                f"{_short(host)!r} is no host name and no address in its usual notation: write it like "
                f"api.example.com, 192.0.2.10 or [2001:db8::1]."
            ) from None
        return
    if isinstance(address, IPv6Address) and (_inner(address) or address.sixtofour or address.scope_id):
        raise AddressRefused(f"The address {host!r} is a disguised or local one: write the plain address.")


def _normal(host: str) -> str:
    name = host.lower().removeprefix("[").removesuffix("]")
    return name.removesuffix(".") if ":" not in name else name


def _allowed(entry: str) -> tuple[str, int]:
    host, _, port = entry.strip().rpartition(":")
    if not host or not port.isdigit():
        raise AddressRefused(f"FLEXIROASTER_HTTP_ALLOW holds {entry!r}, which is not host:port.")
    name = _normal(host)
    try:
        return str(ipaddress.ip_address(name)), int(port)
    except ValueError:
        return name, int(port)


def _short(text: str) -> str:
    return text if len(text) <= 100 else text[:99] + "…"
