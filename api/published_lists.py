"""The revocation lists that relying parties are handed: from the database, or while that is away from the published files."""

from __future__ import annotations

from api.home import Home
from api.publishing import Publication, crl_path, numbered_path, read_published_crl
from api.sources import Sources
from certs.errors import DatabaseUnavailable
from pki.authorities import get_authority, is_name
from pki.crl_archive import crl_octets, find_by_number, find_latest
from pki.crl_entries import FULL
from pki.crl_file import BUFFER
from pki.errors import CrlNotFound


def list_of(
    sources: Sources,
    home: Home,
    authority: str,
    number: int | None = None,
    *,
    shard: int = FULL,
    is_delta: bool = False,
) -> Publication:
    """The newest CRL of a scope or its delta, or the one of a number; AuthorityUnknown or CrlNotFound.

    While the database is away, the published file: it is signed, and says itself until when it is good.
    """
    try:
        with sources.reading() as session:
            get_authority(session, authority)
            if number is None:
                found = find_latest(session, authority, shard, is_delta=is_delta)
            else:
                found = find_by_number(session, authority, number, is_delta=is_delta)
            if found is None:
                told = "" if number is None else str(number)
                raise CrlNotFound(f"{authority} has no CRL {told}", authority=authority, number=told)
            file = numbered_path(home, authority, found.number, is_delta=is_delta)
            is_long = found.size > BUFFER and file.is_file() and file.stat().st_size == found.size
            octets = b"" if is_long else b"".join(crl_octets(session, found))
    except DatabaseUnavailable:
        if not is_name(authority):
            raise
        path = (
            crl_path(home, authority, shard, is_delta=is_delta)
            if number is None
            else numbered_path(home, authority, number, is_delta=is_delta)
        )
        published = read_published_crl(path)
        if published is None:
            raise
        return published
    return Publication(
        octets, found.sha256, found.this_update, found.next_update, is_newest=True, file=file if is_long else None
    )
