"""Takes the rows of exported audit trails into the trail of a restored home, where they go on with the chains that it has."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Table, insert, select, text, update
from sqlalchemy.orm import Session

from pki.audit import AuditRecord
from pki.audit_export import Checkpoint, exported_acts
from pki.audit_link import GENESIS
from pki.audit_survey import chain_ends
from pki.errors import AuditExportForeign, AuditExportGap
from pki.tables import AuditChainRow, AuditRow

_ROWS = cast("Table", AuditRow.__table__)
_CHAINS = cast("Table", AuditChainRow.__table__)
_AT_ONCE = 500


def import_acts(session: Session, file: Path, checkpoint: Checkpoint) -> Iterator[AuditRecord]:
    """Write the rows of a file that `check_export` has found whole, and that this trail has not, as they stand in it; each of them.

    AuditExportGap when acts between are missing; AuditExportForeign when it is another installation's trail, or a rewritten one.
    """
    lengths = _check_continuity(session, file, checkpoint)
    new = (row for row in exported_acts(file, checkpoint) if row["position"] > lengths[row["chain"]])
    while batch := list(itertools.islice(new, _AT_ONCE)):
        values = [row | {"time": datetime.fromisoformat(row["time"])} for row in batch]
        session.execute(insert(_ROWS), values)
        yield from (_record(row) for row in values)
    for chain, span in checkpoint.spans.items():
        if span.last > lengths[chain]:
            end = {"length": span.last, "head": checkpoint.last_links[chain]}
            session.execute(update(_CHAINS).where(_CHAINS.c.chain == chain).values(**end))
    if session.get_bind().dialect.name == "postgresql":
        # SQLite looks by itself which number is the highest.
        session.execute(text("SELECT setval('audit_seq_seq', (SELECT max(seq) FROM audit))"))


def goes_on(session: Session, checkpoint: Checkpoint) -> bool:
    """Whether no act is missing between this trail and the rows of a file."""
    ours = chain_ends(session)
    return all(
        span.first <= (ours[chain].position if chain in ours else 0) + 1 for chain, span in checkpoint.spans.items()
    )


def count_missing(session: Session, checkpoint: Checkpoint) -> int:
    """How many acts a checkpoint has counted that this trail does not have."""
    ours = chain_ends(session)
    return sum(
        max(0, end.position - (ours[chain].position if chain in ours else 0)) for chain, end in checkpoint.ends.items()
    )


def _check_continuity(session: Session, file: Path, checkpoint: Checkpoint) -> dict[int, int]:
    """How long each chain of the file is here. Links make it enough to compare one row of each chain."""
    ours = chain_ends(session)
    lengths: dict[int, int] = {}
    shared: dict[tuple[int, int], str] = {}
    for chain, span in checkpoint.spans.items():
        if chain not in ours:
            session.execute(insert(_CHAINS), {"chain": chain, "length": 0, "head": GENESIS})
        length, head = (ours[chain].position, ours[chain].link) if chain in ours else (0, GENESIS)
        lengths[chain] = length
        if span.first > length + 1:
            raise AuditExportGap("acts are missing", path=file.name, chain=str(chain), position=str(length + 1))
        if span.first <= length:
            # The last row that both have.
            last = min(span.last, length)
            shared[chain, last] = _link_at(session, chain, last)
        elif head != span.before:
            raise _foreign(file, chain, span.first)
    if shared:
        for row in exported_acts(file, checkpoint):
            place = (row["chain"], row["position"])
            if place in shared and shared[place] != row["link"]:
                raise _foreign(file, *place)
    return lengths


def _link_at(session: Session, chain: int, position: int) -> str:
    found = session.scalar(select(_ROWS.c.link).where(_ROWS.c.chain == chain, _ROWS.c.position == position))
    return found or ""


def _record(row: dict[str, Any]) -> AuditRecord:
    return AuditRecord(
        row["seq"], row["time"], row["actor"], row["action"], row["subject_kind"], row["subject_id"], row["details"]
    )


def _foreign(file: Path, chain: int, position: int) -> AuditExportForeign:
    return AuditExportForeign("another trail", path=file.name, chain=str(chain), position=str(position))
