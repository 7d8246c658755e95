"""Certificates in force, as a part of a statement that stores what depends on it. Who asks why one is not, asks the inventory.

For PostgreSQL, to which such a statement and the names that keep it true cross together (prepared.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from sqlalchemy import ColumnElement, Connection, Table, and_, bindparam, func, literal_column, select

from certs.db import hold_before
from certs.inventory import State, lock_name
from certs.tables import CertificateRow

_TABLE = cast("Table", CertificateRow.__table__)


def keep_in_force(connection: Connection, serials: Sequence[str]) -> None:
    """`inventory.keep_standings` as the first of statements that are sent together."""
    hold_before(connection, *map(lock_name, serials))


def all_in_force(count: int) -> ColumnElement[bool]:
    """Whether so many certificates are all active and in their time: a condition on `inventory.of_serials` and the time `standing_at`."""
    at = bindparam("standing_at", type_=_TABLE.c.not_before.type)
    asked = _TABLE.c.serial.in_([bindparam(f"serial_{each}") for each in range(count)])
    good = and_(_TABLE.c.state == State.ACTIVE.value, _TABLE.c.not_before <= at, _TABLE.c.not_after >= at)
    return select(func.count()).select_from(_TABLE).where(asked, good).scalar_subquery() == literal_column(str(count))
