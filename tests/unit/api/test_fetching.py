"""One exchange over HTTP: bounded in time and size, never redirected, and never with an address that a stranger may not choose."""

from __future__ import annotations

import socket
import time

import pytest

from api.fetching import HttpFetcher, _is_public
from signer.errors import Unavailable
from signer.fetcher import Exchange
from tests.strangers import STAMP_TYPE, Stranger, closing, dripping, redirecting, saying, serving, sleeping


@pytest.fixture(scope="module")
def stranger():
    with serving() as stranger:
        yield stranger


def fetch(url: str, **changes) -> bytes:
    wanted = {"limit": 1000, "seconds": 2.0, "named_by_us": True} | changes
    return HttpFetcher().fetch(Exchange(url, **wanted))


def refusal(url: str, **changes) -> str:
    with pytest.raises(Unavailable) as refused:
        fetch(url, **changes)
    assert "127.0.0.1:1\n" not in str(refused.value)
    return refused.value.code


def test_the_answer_of_a_server_is_what_it_sent(stranger: Stranger) -> None:
    stranger.handlers["/echo?a=b"] = lambda _request, body: (200, "text/plain", b"got " + body)
    assert (
        fetch(stranger.url("/echo?a=b"), body=b"this", body_type="text/plain", answer_type="text/plain") == b"got this"
    )
    assert fetch(stranger.url("/echo?a=b")) == b"got "


def test_what_is_no_whole_answer_of_the_right_kind_is_refused_by_name(stranger: Stranger) -> None:
    stranger.handlers |= {
        "/500": saying(500, STAMP_TYPE, b"x"),
        "/moved": redirecting(stranger.url("/good")),
        "/good": saying(200, STAMP_TYPE, b"x"),
        "/large": saying(200, STAMP_TYPE, b"x" * 1001),
        "/closes": closing,
        "/cut": _cut,
        "/endless": _endless,
        "/no-http": _no_http,
    }
    assert refusal(stranger.url("/500")) == "FETCH_STATUS"
    stranger.asked.clear()
    assert refusal(stranger.url("/moved")) == "FETCH_STATUS"
    assert stranger.asked == ["/moved"]
    assert refusal(stranger.url("/good"), answer_type="application/ocsp-response") == "FETCH_TYPE_WRONG"
    assert refusal(stranger.url("/large")) == refusal(stranger.url("/endless")) == "FETCH_TOO_LARGE"
    assert refusal(stranger.url("/closes")) == refusal(stranger.url("/cut")) == "FETCH_FAILED"
    assert refusal(stranger.url("/no-http")) == "FETCH_FAILED"
    assert len(fetch(stranger.url("/large"), limit=1001)) == 1001


def _cut(request, _body) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "500")
    request.end_headers()
    request.wfile.write(b"half")
    request.close_connection = True


def _endless(request, _body) -> None:
    request.send_response(200)
    request.end_headers()
    for _ in range(100):
        request.wfile.write(b"x" * 100)


def _no_http(request, _body) -> None:
    request.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n")


@pytest.mark.parametrize("path", ["/slow", "/drips"])
def test_a_server_gets_its_time_for_the_whole_exchange_and_no_more(stranger: Stranger, path: str) -> None:
    stranger.handlers |= {"/slow": sleeping(2, saying(200, STAMP_TYPE, b"x")), "/drips": dripping}
    begun = time.monotonic()
    assert refusal(stranger.url(path), seconds=0.3, limit=5000) == "FETCH_TIMEOUT"
    assert time.monotonic() - begun < 1.5


def test_nobody_there_is_said_as_such() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert refusal(f"http://127.0.0.1:{taken.getsockname()[1]}/") == "FETCH_FAILED"


def test_what_a_stranger_names_never_leads_into_a_private_network(stranger: Stranger) -> None:
    stranger.handlers["/good"] = saying(200, STAMP_TYPE, b"x")
    stranger.asked.clear()
    for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"):
        assert refusal(f"http://{host}:{stranger.port}/good", named_by_us=False) == "FETCH_ADDRESS_REFUSED"
    assert stranger.asked == []
    allowed = HttpFetcher(allows_private=True)
    assert allowed.fetch(Exchange(stranger.url("/good"), 10, 2.0)) == b"x"


def test_a_name_that_leads_elsewhere_the_second_time_is_asked_only_once(stranger: Stranger, monkeypatch) -> None:
    # DNS rebinding: the first answer is a public address, every later one the machine itself.
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host, port, **how):
        asked.append(host)
        return real("203.0.113.7" if len(asked) > 1 else "127.0.0.1", port, **how)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    stranger.handlers["/good"] = saying(200, STAMP_TYPE, b"x")
    assert fetch(f"http://rebinds.example:{stranger.port}/good") == b"x"
    assert asked == ["rebinds.example"]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/a", "file:///etc/passwd", "http:///a", "http://a b/", "http://user@example.org/", "http://example.org:x/",
        "http://example.org/\r\nHost: b", "ldap://example.org", "http://" + "a" * 3000, "",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_not_asked(url: str) -> None:
    assert refusal(url) == "FETCH_ADDRESS_REFUSED"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True), ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True), ("10.1.2.3", False), ("172.16.0.1", False),
        ("192.168.1.1", False), ("169.254.169.254", False), ("100.64.0.1", False), ("224.0.0.1", False), ("255.255.255.255", False),
        ("fe80::1%eth0", False), ("fc00::1", False), ("::", False), ("::ffff:10.0.0.1", False), ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False), ("64:ff9b::5db8:d70e", True),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert _is_public(address) is public
