"""Whoever stamps documents, as the settings name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from api.fetching import HttpFetcher
from api.stamp_watch import StampWatch
from api.tsa_settings import OWN, TsaServer
from certs.clock import Clock
from signer.outside_timestamps import OutsideServer, OutsideTimestamper, TimestamperChain
from signer.timestamps import OwnTimestamper, Timestamper


def stampers_by_url(
    servers: Sequence[OutsideServer], fetcher: HttpFetcher, clock: Clock, watch: StampWatch
) -> dict[str, OutsideTimestamper]:
    """By the address of their servers."""
    return {each.url: OutsideTimestamper(each, fetcher, clock, watch.tell) for each in servers}


def chain_of(
    servers: Sequence[TsaServer], own: OwnTimestamper, outside: Mapping[str, OutsideTimestamper]
) -> Timestamper:
    """Our own authority, or those of the settings in their order."""
    chain = [own if each.url == OWN else outside[each.url] for each in servers]
    return TimestamperChain(chain) if outside else own
