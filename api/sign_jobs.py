"""Requests to sign as a web process carries them out: alone, or short ones together; under an Idempotency-Key once, however often asked."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.auth.tokens import TokenRecord
from api.errors import RequestError
from api.forms import Form
from api.services import Services
from api.settings import SignSettings
from api.sign_form import body_sha256, sign_request
from certs.errors import CertsError
from pki.audit import Actor
from signer.documents import Document
from signer.levels import B_B
from signer.octets import sha256_of
from signer.signing import SignedDocument, SignRequest
from signer.signing_batch import sign_documents

# So many share their commits. What more of them share is little, and each waits for all.
MOST_TOGETHER = 16
# Nobody waits much longer for what others have brought: files that take long to read share with no more than came before them.
_SECONDS_TOGETHER = 0.5
# Whoever brings more than that would hold up the others.
_SHORT_OCTETS = 1024 * 1024


@dataclass(frozen=True)
class SignJob:
    """A form that somebody wants signed. `key`: its Idempotency-Key."""

    token: TokenRecord
    form: Form
    key: str | None


@dataclass(frozen=True)
class Done:
    """What is answered. `level`: what was signed just now; empty when it is the answer of an earlier request."""

    answer: dict[str, Any]
    level: str = ""


@dataclass(frozen=True)
class _Wish:
    """A job, read."""

    request: SignRequest
    body_sha256: str


def is_short(job: SignJob, settings: SignSettings) -> bool:
    """Whether it may be done with others: a small file, and nobody outside who is asked for a time-stamp."""
    return job.form.size <= _SHORT_OCTETS and (job.form.fields.get("level") or settings.level) == B_B


def sign_alone(services: Services, job: SignJob) -> Done:
    """Sign one document. Blocks; raises what speaks against it."""
    (done,) = sign_all(services, [job])
    if not isinstance(done, Done):
        raise done or RuntimeError("a document has no result")
    return done


def sign_all(
    services: Services, jobs: Sequence[SignJob], seconds: float = _SECONDS_TOGETHER
) -> list[Done | Exception | None]:
    """What came of each, or what speaks against it. Blocks; those of one actor share their commits.

    None where its turn has not come, because those before it took so many seconds; one at least is done.
    """
    results: dict[int, Done | Exception | None] = {}
    wishes: dict[Actor, dict[int, _Wish]] = {}
    for place, job in enumerate(jobs):
        try:
            wish = _read(job, services.installation.settings.sign)
            stored = _begin(services, job, wish)
        except Exception as error:  # noqa: BLE001  the answer to this one, whatever it is; the others go on
            results[place] = error
            continue
        if stored is not None:
            results[place] = Done(stored)
        else:
            wishes.setdefault(job.token.actor, {})[place] = wish
    for actor, own in wishes.items():
        came = _sign(services, [wish.request for wish in own.values()], actor, seconds)
        for place, signed in zip(own, came, strict=True):
            results[place] = _end(services, jobs[place], signed)
    return [results[place] for place in range(len(jobs))]


def _read(job: SignJob, settings: SignSettings) -> _Wish:
    form = job.form
    if not form.fields.get("credential"):
        raise RequestError("FORM_FIELD_MISSING", field="credential")
    request = sign_request(form, settings)
    return _Wish(request, body_sha256(form.fields, request.pdf))


def _begin(services: Services, job: SignJob, wish: _Wish) -> dict[str, Any] | None:
    """The answer that the job's key has already."""
    if job.key is None:
        return None
    return services.idempotency.begin(
        job.token.id, job.key, wish.body_sha256, lambda since: _recover(services, job.token, wish, since)
    )


def _sign(
    services: Services, requests: Sequence[SignRequest], actor: Actor, seconds: float
) -> Sequence[SignedDocument | Exception | None]:
    try:
        if len(requests) == 1:
            return [services.sign(requests[0], actor)]
        return sign_documents(requests, actor, services.installation.signing, is_each_alone=True, seconds=seconds)
    except Exception as error:  # noqa: BLE001  what was away for all of them
        return [error] * len(requests)


def _end(services: Services, job: SignJob, signed: SignedDocument | Exception | None) -> Done | Exception | None:
    # The register is not asked again: should it fall silent now, the document would be said to have failed, and be signed twice.
    if not isinstance(signed, SignedDocument):
        _forget(services, job)
        return signed
    answer = describe_signed(signed, signed.sha256, signed.level, signed.pending)
    if job.key is not None:
        # Should it fail: the document is signed and registered, and the client learns so. A repetition finds it in the register.
        with contextlib.suppress(CertsError):
            services.idempotency.finish(job.token.id, job.key, answer)
    return Done(answer, signed.level)


def _forget(services: Services, job: SignJob) -> None:
    # Should it fail: the key stays taken until its request counts as dead, and what brought us here is what is said.
    if job.key is not None:
        with contextlib.suppress(CertsError):
            services.idempotency.forget(job.token.id, job.key)


def _recover(services: Services, token: TokenRecord, wish: _Wish, since: datetime) -> dict[str, Any] | None:
    """What a process that died had finished of this request."""
    input_sha256 = sha256_of(wish.request.pdf)
    document = services.signed_since(input_sha256, wish.request.credential, token.actor, since)
    if document is None or document.sha256 is None:
        return None
    reached = next((act.level for act in reversed(document.acts) if act.state == "done"), wish.request.level)
    return describe_signed(document, document.sha256, reached, document.pending.level if document.pending else None)


def links_of(code: str) -> dict[str, str]:
    """Relative references: a client may reach us by another name than we know (RFC 3986 4.2)."""
    own = f"/api/v1/documents/{code}"
    return {"self": own, "file": f"{own}/file", "verify": f"/v/{code}"}


def describe_signed(
    document: SignedDocument | Document, sha256: str, level: str, pending: str | None
) -> dict[str, Any]:
    """What signing answers. `pending_level`: what was asked for, where it is still to be reached."""
    return {
        "code": document.code,
        "sha256": sha256,
        "status": document.status,
        "issued": document.issued,
        "number": document.number,
        "level": level,
        "pending_level": pending,
        # Of a repeated request whose first answer was lost: what was found then is not kept.
        "findings": [each.to_json() for each in document.findings] if isinstance(document, SignedDocument) else [],
        "links": links_of(document.code),
    }
