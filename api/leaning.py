"""What judging goes by besides a file, out of the settings: policies, and whom to ask about strangers' certificates."""

from __future__ import annotations

from pathlib import Path

from api.fetching import HttpFetcher
from api.home import Home
from api.settings import Settings
from signer.judging import Leaning
from signer.revocation_cache import RevocationCache
from signer.revocation_sources import FetchLimits
from signer.validation.rules import PolicyShelf, read_policy, shelf_of


def fetcher_of(settings: Settings) -> HttpFetcher:
    """Who asks strangers' servers."""
    return HttpFetcher(allows_private=settings.validation.fetch_private)


def policies_of(home: Path, settings: Settings) -> PolicyShelf:
    """The policies of the package and that of the settings; UsageWrong for a file or a default that is none."""
    wanted = settings.validation
    own = [read_policy(home / wanted.policy_file, wanted.policy_file)] if wanted.policy_file else []
    return shelf_of(own, wanted.policy)


def leaning_of(home: Home, settings: Settings, cache: RevocationCache) -> Leaning:
    """What judging goes by, for an installation or for a command without one."""
    wanted = settings.validation
    limits = FetchLimits(wanted.fetch_seconds, wanted.fetch_total_seconds, wanted.fetch_exchanges)
    fetcher = fetcher_of(settings) if wanted.fetch else None
    return Leaning(policies_of(home.root, settings), cache, fetcher, limits)
