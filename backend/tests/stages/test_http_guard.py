from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

import pytest

from flexiroaster.stages.http_guard import AddressRefused, Guard, system_resolve, why_closed

PUBLIC = "93.184.215.14"


def resolve_to(*addresses: str) -> Guard:
    return Guard(resolve=lambda host, port: addresses)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("10.1.2.3", "private"),
        ("172.31.0.1", "private"),
        ("192.168.1.1", "private"),
        ("100.100.100.200", "private (carrier network)"),
        ("169.254.169.254", "link-local (cloud metadata)"),
        ("168.63.129.16", "cloud metadata"),
        ("192.0.0.192", "reserved"),
        ("192.0.2.1", "reserved"),
        ("198.18.0.1", "reserved (benchmarks)"),
        ("224.0.0.1", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:169.254.169.254", "link-local (cloud metadata)"),
        ("::127.0.0.1", "reserved"),
        ("::ffff:0:127.0.0.1", "reserved"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b:1::7f00:1", "reserved"),
        ("2002:7f00:1::", "reserved (6to4)"),
        ("2001::1", "reserved"),
        ("2001:db8::1", "reserved"),
        ("fe80::1", "link-local"),
        ("fec0::1", "private"),
        ("fd00:ec2::254", "private"),
        ("ff02::1", "multicast"),
        ("5f00::1", "reserved"),
        (PUBLIC, None),
        ("2606:4700::1111", None),
        ("64:ff9b::5db8:d70e", None),
        ("::ffff:93.184.215.14", None),
    ],
)
def test_kind_of_closed_addresses(address: str, kind: str | None) -> None:
    assert why_closed(ipaddress.ip_address(address)) == kind


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "localhost",
        "LOCALHOST.",
        "127.1",
        "127.0.1",
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "0x7f.1",
        "0x",
        "0",
        "00",
        "1.2.3.4.5",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "::ffff:8.8.8.8",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1%eth0]",
        "fe80::1%25eth0",
        "%6c%6f%63alhost",
        "exa mple.com",
        "a..b",
        "",
        "-x.com",
        "127。0。0。1",
        "①②⑦.0.0.1",
    ],
)
def test_closed_hosts_and_odd_notations_are_refused(host: str) -> None:
    with pytest.raises(AddressRefused):
        Guard(resolve=numeric_or_local).addresses(host, 80)


def numeric_or_local(host: str, port: int) -> Sequence[str]:
    """As the system would: numbers are read as addresses; any name is the local machine's."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return [str(found[0][4][0])]
    except OSError:
        return ["127.0.0.1"]


@pytest.mark.parametrize("host", ["api.example.com", "api.example.com.", "a_b.example.com", "xn--bcher-kva.example"])
def test_public_name_gives_its_addresses(host: str) -> None:
    assert resolve_to(PUBLIC, "2606:4700::1111").addresses(host, 443) == [PUBLIC, "2606:4700::1111"]


def test_one_closed_address_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(AddressRefused, match=r"api.example.com \(10.0.0.5\) is private"):
        resolve_to(PUBLIC, "10.0.0.5").addresses("api.example.com", 443)


def test_refusal_names_the_setting() -> None:
    with pytest.raises(AddressRefused) as caught:
        resolve_to("127.0.0.1").addresses("localhost", 8080)
    assert str(caught.value) == (
        "The address of localhost (127.0.0.1) is loopback: http stages reach public addresses only."
    )
    assert caught.value.suggestion == "An administrator can allow it: FLEXIROASTER_HTTP_ALLOW=localhost:8080"
    assert (caught.value.code, caught.value.kind) == ("address_refused", "permanent")


@pytest.mark.parametrize(
    ("allow", "host", "port", "open_"),
    [
        ("localhost:8080", "localhost", 8080, True),
        ("LocalHost:8080", "localhost.", 8080, True),
        ("localhost:8080", "localhost", 8081, False),
        ("127.0.0.1:8080", "localhost", 8080, True),
        ("127.0.0.1:8080", "127.0.0.1", 8080, True),
        ("[::1]:8080", "::1", 8080, True),
        ("[::1]:8080", "127.0.0.1", 8080, False),
        ("other:8080", "localhost", 8080, False),
    ],
)
def test_allow_list_opens_exactly_its_host_and_port(allow: str, host: str, port: int, open_: bool) -> None:
    guard = Guard([allow], numeric_or_local)
    if open_:
        assert guard.addresses(host, port)
    else:
        with pytest.raises(AddressRefused):
            guard.addresses(host, port)


def test_allow_entry_without_port_is_refused() -> None:
    with pytest.raises(AddressRefused, match="'localhost', which is not host:port"):
        Guard(["localhost"])


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("file:///etc/passwd", "does not begin with http"),
        ("ftp://example.com/", "does not begin with http"),
        ("gopher://example.com/", "does not begin with http"),
        ("//example.com/", "does not begin with http"),
        ("http://example.com@127.0.0.1/", "holds a user name"),
        ("http://user:secret@example.com/", "holds a user name"),
        ("http://127.0.0.1\\@example.com/", "holds a backslash or control character"),
        ("http://example.com/\r\nX: y", "holds a backslash or control character"),
        ("http://exa mple.com/", "names no plain host"),
        ("http://127。0。0。1/", "names no plain host"),
        ("http:///path", "names no plain host"),
        ("http://", "names no plain host"),
    ],
)
def test_urls_that_can_be_refused_by_reading(url: str, sentence: str) -> None:
    with pytest.raises(AddressRefused, match=sentence) as caught:
        Guard().check_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "HTTPS://example.com:8443/a?b=c#d",
        "http://[::1]:8080/",
        "http://example.com/Köln?q=New York",
    ],
)
def test_ordinary_urls_pass(url: str) -> None:
    Guard().check_url(url)


def test_system_resolver_lists_each_address_once() -> None:
    found = system_resolve("127.0.0.1", 80)
    assert found == ["127.0.0.1"]
