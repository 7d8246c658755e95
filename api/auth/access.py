"""Access: who is calling, over which kind of connection, and whether he may."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request

from api.auth.rates import RateLimit
from api.auth.tokens import TokenDesk, TokenRecord
from api.errors import RequestError
from api.lanes import Lanes
from api.settings import WebSettings

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Caller:
    """Where a request comes from. `address` None: not to be told (a socket without one, a proxy that says nothing)."""

    address: str | None
    loopback: bool
    secure: bool


class Access:
    """The door of the API. Built once a process; used from its event loop."""

    def __init__(self, settings: WebSettings, tokens: TokenDesk, lanes: Lanes) -> None:
        self._tokens = tokens
        self._lanes = lanes
        self._proxies = tuple(ipaddress.ip_network(each) for each in settings.trusted_proxies)
        self._anonymous = RateLimit(settings.anonymous_per_second)
        self._known = RateLimit(settings.token_per_second)

    async def require(self, request: Request, *scopes: str) -> TokenRecord:
        """The caller's token, which must have one of these scopes; RequestError otherwise."""
        token = await self._token(request)
        if token is None:
            # Whoever guesses is held back like anybody without a token.
            self._hold_back(request)
            raise RequestError("TOKEN_MISSING", scope=scopes[0])
        if not token.scopes.intersection(scopes):
            raise RequestError("TOKEN_SCOPE_MISSING", scope=" / ".join(scopes))
        return token

    async def welcome(self, request: Request) -> TokenRecord | None:
        """The caller's token if he brings one, which must then be good; anybody else is let in at a lower rate."""
        token = await self._token(request)
        if token is None:
            self._hold_back(request)
        return token

    async def _token(self, request: Request) -> TokenRecord | None:
        values = request.headers.getlist("authorization")
        if not values:
            return None
        # A token that crossed the net in the clear is lost, good or not: it is refused before it is looked at.
        if not caller_of(request, self._proxies).secure:
            raise RequestError("TOKEN_NEEDS_TLS")
        scheme, _, presented = values[0].partition(" ")
        if scheme.lower() != "bearer":
            raise RequestError("TOKEN_SCHEME_WRONG")
        if len(values) > 1:
            raise RequestError("TOKEN_WRONG")
        try:
            token = await self._lanes.look_up(self._tokens.authenticate, presented.strip())
        except RequestError as error:
            if error.code != "BUSY":
                self._hold_back(request)
            raise
        self._known.check(str(token.id))
        return token

    def _hold_back(self, request: Request) -> None:
        caller = caller_of(request, self._proxies)
        # Programs of this machine, benchmarks and tests among them, are no crowd of strangers.
        if not caller.loopback:
            self._anonymous.check(caller.address or "")


def caller_of(request: Request, proxies: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> Caller:
    """Where a request comes from. What a proxy says about it counts only when the proxy is one of ours."""
    peer = _parse(request.client.host) if request.client else None
    forwarded = any(name in request.headers for name in ("x-forwarded-for", "x-forwarded-proto", "forwarded"))
    tls = request.url.scheme == "https"
    if not forwarded or peer is None:
        loopback = peer is not None and peer.is_loopback
        return Caller(str(peer) if peer else None, loopback, tls or loopback)
    if not any(peer in network for network in proxies):
        # Somebody else's proxy, or a client that pretends: where it began is unknown, so it is not from here.
        return Caller(str(peer), loopback=False, secure=tls)
    # Every proxy adds the address it heard from; the last is what ours heard.
    named = _parse(request.headers.get("x-forwarded-for", "").rsplit(",", 1)[-1].strip())
    secure = request.headers.get("x-forwarded-proto", "").rsplit(",", 1)[-1].strip().lower() == "https"
    return Caller(str(named) if named else None, loopback=False, secure=secure)


def _parse(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
