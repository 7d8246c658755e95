"""Who counts as near, as safe and as one client."""

from __future__ import annotations

import ipaddress

import pytest
from starlette.requests import Request

from api.auth.access import Caller, caller_of
from api.auth.rates import RateLimit
from api.errors import RequestError

OURS = (ipaddress.ip_network("10.0.0.0/24"),)


def request_from(peer: str | None, scheme: str = "http", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    client = (peer, 1) if peer else None
    return Request(
        {
            "type": "http",
            "scheme": scheme,
            "path": "/",
            "headers": raw,
            "client": client,
            "server": ("x", 80),
            "query_string": b"",
        }
    )


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (request_from("127.0.0.1"), Caller("127.0.0.1", loopback=True, secure=True)),
        (request_from("::1"), Caller("::1", loopback=True, secure=True)),
        (request_from("::ffff:127.0.0.1"), Caller("127.0.0.1", loopback=True, secure=True)),
        (request_from("203.0.113.7"), Caller("203.0.113.7", loopback=False, secure=False)),
        (request_from("203.0.113.7", "https"), Caller("203.0.113.7", loopback=False, secure=True)),
        (request_from(None), Caller(None, loopback=False, secure=False)),
        # A proxy that nobody trusts: not near, whatever it says.
        (request_from("127.0.0.1", x_forwarded_for="127.0.0.1"), Caller("127.0.0.1", loopback=False, secure=False)),
        (request_from("127.0.0.1", forwarded="proto=https"), Caller("127.0.0.1", loopback=False, secure=False)),
        (request_from("203.0.113.7", x_forwarded_proto="https"), Caller("203.0.113.7", loopback=False, secure=False)),
        # One of ours is believed about the last step, and about nothing before it.
        (
            request_from("10.0.0.5", x_forwarded_for="198.51.100.1, 203.0.113.7", x_forwarded_proto="https"),
            Caller("203.0.113.7", loopback=False, secure=True),
        ),
        (
            request_from("10.0.0.5", x_forwarded_for="127.0.0.1", x_forwarded_proto="http"),
            Caller("127.0.0.1", loopback=False, secure=False),
        ),
        (
            request_from("10.0.0.5", x_forwarded_for="nonsense", x_forwarded_proto="https, http"),
            Caller(None, loopback=False, secure=False),
        ),
        (request_from("10.0.1.5", x_forwarded_proto="https"), Caller("10.0.1.5", loopback=False, secure=False)),
    ],
)
def test_a_caller_is_what_the_connection_and_our_own_proxies_say(request_: Request, expected: Caller) -> None:
    assert caller_of(request_, OURS) == expected


def test_a_client_has_a_burst_and_then_waits_while_others_do_not() -> None:
    rates = RateLimit(1.0)
    for _ in range(2):
        rates.check("one")
    with pytest.raises(RequestError) as refused:
        rates.check("one")
    assert refused.value.code == "TOO_MANY_REQUESTS"
    rates.check("another")


def test_a_crowd_of_addresses_does_not_fill_the_memory() -> None:
    rates = RateLimit(1.0)
    for number in range(25_000):
        rates.check(str(number))
    assert len(rates._buckets) <= 10_000
