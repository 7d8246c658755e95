"""A process of its own that issues certificates and is killed at a given step: before or after each commit and each use of the key.

`python issuer_dies.py one|many STEP EVIDENCE REQUEST...`, in a home given by the environment. `one` issues by a registration that
it stores with the evidence, `many` a batch whose first line does. Ends with 0 when there are fewer steps than STEP.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from api.database_url import database_url
from api.wiring import Installation, open_installation
from certs.csr import parse_csr
from certs.db import Database
from certs.names import parse_subject
from hsm.handles import sign_only_key
from hsm.spec import spki_der
from hsm.store import KeyStore
from pki.issuance import IssuanceRequest, IssuingDeps, issue
from pki.issuance_batch import issue_many
from pki.registration import RegistrationDeps, register_at_once
from pki.roles import owner

_ACTOR = owner("issuer")


class Steps:
    """Counts what survives a death and what does not, and dies at the step it was told."""

    def __init__(self, last: int) -> None:
        self._left = last

    def step(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class DyingDatabase(Database):
    """Dies right before a commit, or right after it."""

    steps: Steps

    @contextmanager
    def write(self) -> Iterator[Session]:
        with super().write() as session:
            yield session
            session.flush()
            self.steps.step()
        self.steps.step()

    @contextmanager
    def write_rows(self) -> Iterator[Connection]:
        with super().write_rows() as connection:
            yield connection
            self.steps.step()
        self.steps.step()


class DyingStore:
    """Dies right before signatures, or with them in hand."""

    def __init__(self, store: KeyStore, steps: Steps) -> None:
        self._store, self._steps = store, steps

    def sign_many(self, public_key_der: bytes, messages: Sequence[bytes], scheme: Any, digest: Any) -> list[bytes]:
        self._steps.step()
        signatures = self._store.sign_many(public_key_der, messages, scheme, digest)
        self._steps.step()
        return signatures


def dying_deps(installation: Installation, steps: Steps) -> tuple[IssuingDeps, RegistrationDeps]:
    database = DyingDatabase(database_url(installation.home, installation.settings))
    database.steps = steps
    issuing = installation.issuing()
    store: Any = DyingStore(installation.keys, steps)
    public_key = issuing.issuer.key.public_key()

    def sign(message: bytes, scheme: Any, digest: Any) -> bytes:
        (signature,) = store.sign_many(spki_der(public_key), [message], scheme, digest)
        return bytes(signature)

    issuer = replace(issuing.issuer, key=sign_only_key(public_key, sign), keys=store)
    registering = replace(installation.registrations, database=database)
    return replace(issuing, database=database, issuer=issuer), registering


def main() -> int:
    how, last, evidence, *files = sys.argv[1:]
    subject = "CN={},OU=Tổ Công nghệ,O=Sở Thử nghiệm,C=VN"
    with open_installation(os.environ) as installation:
        issuing, registering = dying_deps(installation, Steps(int(last)))
        requests = [
            IssuanceRequest(
                "system", parse_subject(subject.format(Path(file).stem)), parse_csr(Path(file).read_bytes())
            )
            for file in files
        ]
        number = register_at_once(requests[0].wanted, evidence, _ACTOR, registering).id
        requests[0] = replace(requests[0], registration=number)
        if how == "one":
            issue(requests[0], _ACTOR, issuing)
        else:
            issued = issue_many(requests, _ACTOR, issuing)
            assert not any(isinstance(each, Exception) for each in issued), issued
    return 0


if __name__ == "__main__":
    sys.exit(main())
