"""`antin serve`: the HTTP service of this home, until it is told to stop."""

from __future__ import annotations

import argparse
from urllib.parse import SplitResult, urlsplit

from api.cli.call import Call
from api.errors import UsageError
from api.leaning import policies_of
from api.serve import serve
from api.wiring import locate


def run(options: argparse.Namespace, call: Call) -> int:
    """Serve; returns when SIGTERM or Ctrl-C has ended every process."""
    home, settings = locate(call.environment)
    if not home.exists():
        raise UsageError("HOME_MISSING", home=str(home.root))
    # A policy file that is none would stop every process by itself, one after the other.
    policies_of(home.root, settings)

    def announce(url: str, training: bool) -> None:
        call.out.write(call.words.say("SERVING", {"url": url}) + "\n")
        if training:
            call.out.write(call.words.say("TRAINING_HOME") + "\n")
        if is_elsewhere(settings.http.public_url, url, behind_proxy=bool(settings.web.trusted_proxies)):
            facts = {"public_url": settings.http.public_url, "url": url}
            call.out.write(call.words.say("SERVING_ELSEWHERE", facts) + "\n")
        call.out.flush()

    workers = options.workers or settings.web.workers
    serve(call.environment, home, (options.host, options.port), workers, announce)
    return 0


def is_elsewhere(public_url: str, url: str, *, behind_proxy: bool) -> bool:
    """Whether nobody who follows our links arrives here. Behind a proxy that is named to us, they arrive by way of it."""
    public, ours = urlsplit(public_url), urlsplit(url)
    if behind_proxy:
        return False
    if ours.hostname in _EVERYWHERE and public.hostname not in _LOOPBACK:
        return _port(public) != _port(ours)
    here = public.hostname == ours.hostname or {public.hostname, ours.hostname} <= _LOOPBACK
    return not here or _port(public) != _port(ours) or public.scheme != ours.scheme


_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104  compared with, not listened on
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def _port(url: SplitResult) -> int:
    return url.port or {"http": 80, "https": 443}[url.scheme]
