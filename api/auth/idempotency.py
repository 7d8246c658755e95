"""Idempotency keys: a request repeated under its key gets the first answer, and is carried out once.

Which key a client used is nobody's business: only its SHA-256 is kept, for each token apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, and_, bindparam, delete, update
from sqlalchemy.exc import IntegrityError

from api.auth.tables import IdempotencyRow
from api.errors import RequestError
from certs.clock import Clock
from certs.db import Database
from certs.prepared import Prepared

Answer = dict[str, Any]

# For how long a key is remembered.
_KEPT = timedelta(hours=24)
# Longer than a signature can take. What is unanswered after it belongs to a process that died.
_LONGEST = timedelta(minutes=3)
LONGEST_KEY = 255


_TABLE = cast("Table", IdempotencyRow.__table__)
_OWN = and_(_TABLE.c.token_id == bindparam("token"), _TABLE.c.key_sha256 == bindparam("key"))
# On the connection that the request was carried out on: what was done is not unknown because another cannot be had.
_FINISH = Prepared(update(_TABLE).where(_OWN).values(answer=bindparam("given", type_=_TABLE.c.answer.type)))
_FORGET = Prepared(delete(_TABLE).where(_OWN, _TABLE.c.answer.is_(None)))


class IdempotencyDesk:
    """Remembers answers by key. Built once; safe for threads and for several processes."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def begin(
        self, token_id: int, key: str, body_sha256: str, recover: Callable[[datetime], Answer | None]
    ) -> Answer | None:
        """The answer that this key has already, or None: then the caller carries the request out and calls `finish` or `forget`.

        RequestError IDEMPOTENCY_KEY_REUSED when the key stood on another body, IDEMPOTENCY_IN_PROGRESS while the first
        request is being worked on. `recover` is asked what came of one whose process died in the middle.
        """
        digest, now = _digest(key), self._clock.now()
        for _ in range(2):
            try:
                found = self._claim(token_id, digest, body_sha256, now)
            except IntegrityError:
                continue  # another process was faster by a moment; it is found now
            if found is None:
                return None
            if found.body_sha256 != body_sha256:
                raise RequestError("IDEMPOTENCY_KEY_REUSED")
            if found.answer is not None:
                return found.answer
            if now - found.begun_at > _LONGEST:
                return self._take_over(token_id, digest, found.begun_at, recover)
            break
        raise RequestError("IDEMPOTENCY_IN_PROGRESS")

    def finish(self, token_id: int, key: str, answer: Answer) -> None:
        """The request was carried out; this is its answer from now on."""
        with self._database.at_once() as connection:
            _FINISH.run(connection, {"token": token_id, "key": _digest(key), "given": answer})

    def forget(self, token_id: int, key: str) -> None:
        """The request was refused and nothing came of it: the key may be used again."""
        with self._database.at_once() as connection:
            _FORGET.run(connection, {"token": token_id, "key": _digest(key)})

    def forget_old(self) -> None:
        """Drop the keys whose time is over. Called now and then."""
        with self._database.write() as session:
            session.execute(delete(IdempotencyRow).where(IdempotencyRow.expires_at < self._clock.now()))

    def _claim(self, token_id: int, digest: str, body_sha256: str, now: datetime) -> IdempotencyRow | None:
        """None when the key is ours now, else the row that has it."""
        with self._database.write() as session:
            row = session.get(IdempotencyRow, (token_id, digest))
            if row is not None and row.expires_at > now:
                return row
            if row is not None:
                session.delete(row)
                session.flush()
            session.add(
                IdempotencyRow(
                    token_id=token_id, key_sha256=digest, body_sha256=body_sha256, answer=None, begun_at=now, expires_at=now + _KEPT
                )
            )  # fmt: skip
            session.flush()
        return None

    def _take_over(
        self, token_id: int, digest: str, begun_at: datetime, recover: Callable[[datetime], Answer | None]
    ) -> Answer | None:
        """Answer for a process that died: with what it had finished, or by doing it now. One of several takers wins."""
        answer = recover(begun_at)
        values = {"answer": answer} if answer is not None else {"begun_at": self._clock.now()}
        with self._database.write() as session:
            changed = session.execute(
                update(IdempotencyRow)
                .where(
                    IdempotencyRow.token_id == token_id,
                    IdempotencyRow.key_sha256 == digest,
                    IdempotencyRow.begun_at == begun_at,
                    IdempotencyRow.answer.is_(None),
                )
                .values(**values)
                .returning(IdempotencyRow.token_id)
            ).all()
        if not changed:
            raise RequestError("IDEMPOTENCY_IN_PROGRESS")
        return answer


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
