"""A file that the register has, found by its SHA-256 or by its document's code: judged without anybody sending it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import or_, select

from certs.clock import Clock
from certs.db import Database
from signer.documents import document_by_code, find_by_code, known_form
from signer.errors import UsageWrong
from signer.storage import BlobStore
from signer.tables import SigningActRow
from signer.validation.policy import JudgedFile, Policy
from signer.validation.rules import load_policy
from signer.validation.verdict import Verdict

_HASH = re.compile(r"[0-9a-f]{64}")
_SPACE = re.compile(r"[\s:]+")

# Judges octets under a name.
Judging = Callable[[bytes, str], Verdict]


def parse_hash(typed: str) -> str:
    """A SHA-256 as people write it, in lower case without colons and blanks; UsageWrong HASH_MALFORMED."""
    found = _SPACE.sub("", typed).lower()
    if not _HASH.fullmatch(found):
        raise UsageWrong("HASH_MALFORMED", typed=typed[:80])
    return found


@dataclass(frozen=True)
class KnownFiles:
    """The files of one register, and how each is judged."""

    database: Database
    blobs: BlobStore
    clock: Clock
    judging: Judging
    policy: Policy | None = None

    def by_hash(self, typed: str) -> Verdict:
        """The verdict on the file with this SHA-256; HASH_NOT_FOUND where the register has none, which says nothing against a file."""
        sha256 = parse_hash(typed)
        content = _find_octets(sha256, self.database, self.blobs)
        return self._nothing(sha256, "HASH_NOT_FOUND") if content is None else self.judging(content, sha256)

    def by_code(self, typed: str) -> Verdict:
        """The verdict on the newest file of a document; CODE_NOT_FOUND for a code that nothing finished has.

        UsageWrong CODE_MALFORMED or CODE_MISTYPED for what is none.
        """
        code = known_form(typed)
        with self.database.read() as session:
            # A document whose signing never ended has left the house with nobody.
            sha256 = document_by_code(session, code).sha256 if find_by_code(session, code) is not None else None
        if sha256 is None:
            return self._nothing(code, "CODE_NOT_FOUND")
        return self.judging(self.blobs.get(sha256), code)

    def _nothing(self, asked: str, reason: str) -> Verdict:
        judged = JudgedFile("indeterminate", reason)
        return Verdict(asked, None, None, judged, None, self.policy or load_policy(), self.clock.now())


def _find_octets(sha256: str, database: Database, blobs: BlobStore) -> bytes | None:
    """The whole file, or the signed revision that a file with more behind it begins with."""
    act = SigningActRow
    with database.read() as session:
        found = session.execute(
            select(act.output_sha256, act.output_size, act.extended_sha256)
            .where(or_(act.output_sha256 == sha256, act.extended_sha256 == sha256), act.state == "done")
            .order_by(act.id)
            .limit(1)
        ).one_or_none()
    if found is None:
        return None
    output_sha256, output_size, extended_sha256 = found
    content = blobs.get(str(extended_sha256 or output_sha256))
    if sha256 == output_sha256:
        content = content[:output_size]
    return content if hashlib.sha256(content).hexdigest() == sha256 else None
