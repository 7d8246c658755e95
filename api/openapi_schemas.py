"""The objects of the API as JSON Schema, and an example of each answer."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from api.metrics import BREAKERS, STATES
from signer.findings import KINDS
from signer.levels import LEVELS

Schema = dict[str, Any]

_CODE = "7KQMT3WXPA9FHE2RVB58"
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_LINKS = {
    "self": f"/api/v1/documents/{_CODE}",
    "file": f"/api/v1/documents/{_CODE}/file",
    "verify": f"/v/{_CODE}",
}
_FACTS = {
    "code": _CODE, "status": "in-force", "issued": True, "sha256": _SHA256, "level": "B-T", "pending_level": None,
    "agency": "Sở Nội vụ", "number": 12,
    "year": 2026, "notation": "UBND-VP", "created_at": "2026-11-22T02:15:30Z", "issued_at": "2026-11-22T02:16:02Z",
    "links": _LINKS,
}  # fmt: skip
_RECORD = _FACTS | {"changes": [], "replaces": [], "corrects": [], "holds_now": _CODE}
_INSIDE = {
    "name": "letter.pdf", "subject": "Về việc tuyển dụng viên chức", "metadata": {"Subject": "Về việc tuyển dụng viên chức"},
    "signatures": [
        {
            "state": "done", "credential": "officer", "intent": "approve", "level": "B-T", "field": "Signature1",
            "certificate": "4f1c2a", "claimed_time": "2026-11-22T02:15:30Z", "sha256": _SHA256, "actor": "token:kiosk",
            "particulars": {},
        }
    ],
}  # fmt: skip
_RELIED = {
    "subject": "CN=Nguyễn Văn A,O=Sở Nội vụ,C=VN", "serial": "4f1c2b", "sha256": _SHA256, "revocation": "good",
    "source": "register", "kind": "inventory", "this_update": None, "next_update": None,
}  # fmt: skip
_LATER = "M2WX8RTY4KHBQ9VCE7PN"
_RECALL = {"status": "recalled", "reason": "Sai thẩm quyền ban hành", "changed_at": "2026-11-23T01:00:00Z", "by": None}
_REPLACEMENT = _RECALL | {"status": "replaced", "reason": "Sai nội dung", "by": _LATER}
_CORRECTION = _RECALL | {"status": "corrected", "reason": "Sai thể thức", "by": _LATER}
_WORKER = {"state": "ok", "jobs": {"crl": {"state": "ok", "code": "", "done_at": "2026-11-22T02:15:30Z"}}}
_HSM = {"state": "ok", "breaker": "closed", "reason": "", "retry_after": 0, "counts": {"process.started": 1}}
_CERTIFICATE = {
    "serial": "4f1c2a", "profile": "agency-seal", "subject": "CN=Sở Nội vụ,O=Sở Nội vụ,C=VN", "common_name": "Sở Nội vụ",
    "issuer": "issuing", "state": "active", "not_before": "2026-11-01T00:00:00Z", "not_after": "2029-11-01T00:00:00Z",
    "sha256": _SHA256, "revoked_at": None, "revocation_reason": None, "record_lost": None,
}  # fmt: skip
_PREPARED = {
    "id": "5f0c9e1b7a2d4c38", "state": "waiting", "code": _CODE, "credential": None, "certificate": "4f1c2b", "name": "letter.pdf",
    "intent": "approve", "level": "B-T", "subfilter": "pades", "number": None, "field": "Signature1", "placed": "anchor",
    "signature_algorithm": "ecdsa-sha256", "digest_algorithm": "sha256", "document_digest": _SHA256, "to_be_signed": "MYGK…",
    "hash": _SHA256, "room": 9120, "claimed_time": "2026-11-22T02:15:30Z", "expires_at": "2026-11-25T02:15:30Z", "failure": None,
    "links": {"self": "/api/v1/prepared/5f0c9e1b7a2d4c38", "finish": "/api/v1/prepared/5f0c9e1b7a2d4c38/finish", "document": f"/v/{_CODE}"},
}  # fmt: skip
# What each operation answers when all goes well, by its operationId. A test holds them to the schemas.
EXAMPLES: Schema = {
    "sign": {
        "code": _CODE, "sha256": _SHA256, "status": "in-force", "issued": False, "number": None, "level": "B-T",
        "pending_level": None, "findings": [], "links": _LINKS,
    },
    "prepareDocument": _PREPARED,
    "getPrepared": _PREPARED,
    "cancelPrepared": _PREPARED | {"state": "cancelled"},
    "finishPrepared": {
        "code": _CODE, "sha256": _SHA256, "status": "in-force", "issued": False, "number": None, "level": "B-T",
        "pending_level": None, "findings": [], "links": _LINKS,
    },
    "getDocument": _RECORD,
    "searchDocuments": {"documents": [_FACTS | _INSIDE], "next": f"/api/v1/documents?text=tuyen+dung&limit=1&after={_CODE}"},
    "upgradeDocument": _RECORD,
    "recallDocument": _RECORD | {"status": "recalled", "changes": [_RECALL], "holds_now": None},
    "replaceDocument": _RECORD | {"status": "replaced", "changes": [_REPLACEMENT], "holds_now": _LATER},
    "correctDocument": _RECORD | {"status": "corrected", "changes": [_CORRECTION]},
    "getCertificate": _CERTIFICATE,
    "revokeCertificate": _CERTIFICATE | {"state": "revoked", "revoked_at": "2026-11-22T02:15:30Z", "revocation_reason": "keyCompromise"},
    "suspendCertificate": _CERTIFICATE
    | {"state": "suspended", "revoked_at": "2026-11-22T02:15:30Z", "revocation_reason": "certificateHold"},
    "reinstateCertificate": _CERTIFICATE,
    "renewCertificate": _CERTIFICATE | {"serial": "5d2c3e", "replaces": "4f1c2a", "suspect_since": None},
    "issueCertificate": {
        "serial": "4f1c2d", "profile": "system", "subject": "CN=Cổng một cửa,OU=Tổ CNTT,O=Sở Nội vụ,C=VN", "common_name": "Cổng một cửa",
        "issuer": "issuing", "state": "active", "not_before": "2026-11-22T00:00:00Z", "not_after": "2027-11-23T00:00:00Z",
        "sha256": _SHA256, "revoked_at": None, "revocation_reason": None, "record_lost": None,
        "pem": "-----BEGIN CERTIFICATE-----…", "registration": 7,
    },
    "verify": {
        "schema": 1, "file": "issued.pdf", "sha256": _SHA256, "conclusion": "valid", "reason": "VALID", "format": "PDF",
        "signatures": [
            {
                "field": "Signature1", "type": "signature", "conclusion": "valid", "indication": "TOTAL-PASSED",
                "sub_indication": None, "reason": "VALID", "level": "PAdES-B-T", "integrity": "intact", "coverage": "whole-file",
                "changes_after": "none", "reading": "strict", "changes": [],
                "signer": {
                    "subject": "CN=Nguyễn Văn A,O=Sở Nội vụ,C=VN", "common_name": "Nguyễn Văn A", "organization": "Sở Nội vụ",
                    "serial": "4f1c2b", "issuer": "CN=Antin Issuing CA,O=Sở Nội vụ,C=VN",
                },
                "trust": "internal", "claimed_time": "2026-11-22T02:15:30Z", "proven_time": "2026-11-22T02:15:31Z",
                "best_signature_time": "2026-11-22T02:15:31Z", "revocation": "good",
                "path": [_RELIED], "timestamps": [
                    {"time": "2026-11-22T02:15:31Z", "holds": True, "reason": None, "signer": "CN=Antin TSA,O=Sở Nội vụ,C=VN",
                     "path": [_RELIED | {"subject": "CN=Antin TSA,O=Sở Nội vụ,C=VN"}]},
                ],
                "digest_algorithm": "sha256", "signature_algorithm": "ecdsa",
            },
        ],
        "document": {"code": _CODE, "status": "in-force"},
        "policy": {"name": "vn-2025", "version": "2", "sha256": _SHA256}, "at": None,
        "checked_at": "2026-11-22T02:20:00Z", "software": "antin 0.1.0",
    },
    "healthz": {"status": "ok"},
    "readyz": {"status": "ready", "checks": {"database": "ok", "keys": "ok", "crl": "ok"}, "hsm": _HSM, "worker": _WORKER},
}  # fmt: skip
PROBLEM_EXAMPLE = {
    "type": "urn:antin:problem:ISSUE_WITHOUT_OFFICER", "title": "Conflict with the present state", "status": 409,
    "code": "ISSUE_WITHOUT_OFFICER",
    "detail": "The seal goes only on a document that an officer has signed (Decree 30/2020, art. 32); let the officer sign first.",
}  # fmt: skip


def ref(name: str) -> Schema:
    """Where a schema of that name stands."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(optional: Schema | None = None, /, **properties: Schema) -> Schema:
    """An object with exactly these members."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties | (optional or {}),
    }


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_LOST_DAYS = _object(
    **{"from": {"type": "string", "format": "date-time"}, "to": {"type": "string", "format": "date-time"}}
)


def build_schemas() -> Schema:
    """Every object of the API, by name."""
    text: Schema = {"type": "string"}
    time: Schema = {"type": "string", "format": "date-time"}
    sha256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    status: Schema = {"enum": ["in-force", "recalled", "replaced", "corrected"]}
    number: Schema = {"type": "integer", "minimum": 1}
    issued: Schema = {
        "type": "boolean",
        "description": "Whether the agency's seal is on it. With the officer's signature alone: false.",
    }
    finding = _object(kind={"enum": list(KINDS)}, page=_or_null(number), detail=text)
    change = _object(status=status, reason=text, changed_at=time, by=_or_null(text))
    reason: Schema = {"type": "string", "minLength": 1, "maxLength": 500, "description": "Why. Everybody may read it."}
    codes: Schema = {"type": "array", "items": text}
    signature = _object(
        state={"enum": ["intent", "done", "failed"]}, credential=_or_null(text), intent=text, level=text, field=text, certificate=text,
        claimed_time=time, sha256=_or_null(sha256), actor=text,
        particulars={"type": "object", "additionalProperties": text},
    )  # fmt: skip
    inside = {
        "name": text,
        "subject": text,
        "metadata": {"type": "object"},
        "signatures": {"type": "array", "items": signature},
    }
    facts = {
        "code": text, "status": status, "issued": issued, "sha256": _or_null(sha256), "level": _or_null(text),
        "pending_level": _or_null({"enum": list(LEVELS)}), "agency": text, "number": _or_null(number),
        "year": _or_null(number), "notation": _or_null(text), "created_at": time,
        "issued_at": _or_null(time), "links": ref("Links"),
    }  # fmt: skip
    return _verdict_schemas() | {
        "Links": _object(self=text, file=text, verify=text),
        "SignedDocument": _object(
            code=text, sha256=sha256, status=status, issued=issued, number=_or_null(number), level={"enum": list(LEVELS)},
            pending_level=_or_null({"enum": list(LEVELS)}), findings={"type": "array", "items": finding}, links=ref("Links"),
        ),
        "DocumentRecord": _object(
            inside, **facts, changes={"type": "array", "items": change}, replaces=codes, corrects=codes, holds_now=_or_null(text),
        ),
        "DocumentList": _object(documents={"type": "array", "items": _object(**facts, **inside)}, next=_or_null(text)),
        "RecallRequest": _object(reason=reason),
        "PrintRequest": _object(place={"type": "string", "description": "Where it is printed; empty: as the installation has it set."}),
        "UpgradeRequest": _object(level={"enum": ["B-T", "B-LT", "B-LTA"]}),
        "SuccessionRequest": _object(by={"type": "string", "description": "The code of the other document."}, reason=reason),
        "Certificate": _object(
            {"pem": text, "registration": _or_null(number), "replaces": _or_null(text), "suspect_since": _or_null(time)},
            serial=text, profile=text, subject=text, common_name=text, issuer=text,
            state={"enum": ["intent", "active", "suspended", "revoked", "expired"]}, not_before=time, not_after=time,
            sha256=_or_null(sha256), revoked_at=_or_null(time), revocation_reason=_or_null(text),
            record_lost=_or_null(_LOST_DAYS) | {
                "description": "The days between backup and restore with which the record was lost. Of such a certificate the times are "
                "when it was begun and when it has ended at the latest, and `intent` means that nobody has revoked it yet."
            },
        ),
        "IssueRequest": _object(
            {
                "profile": {"type": "string", "description": "The kind of certificate."},
                "subject": {"type": "string", "description": "RFC 4514, most specific first: CN=…,O=…,C=VN."},
                "csr": {"type": "string", "description": "PKCS#10 in PEM."},
                "san": {"type": "array", "items": text, "description": "DNS names or e-mail addresses."},
                "days": {"type": "integer", "minimum": 1, "description": "Shorter than the profile's term."},
                "evidence": {
                    "type": "string", "minLength": 1, "maxLength": 200,
                    "description": "Where the papers are that were checked, like a file number.",
                },
                "registration": {
                    "type": "integer", "minimum": 1,
                    "description": "A confirmed registration, which says all the rest: nothing else stands beside it.",
                },
            },
        ) | {"anyOf": [{"required": ["profile", "subject", "csr"]}, {"required": ["registration"], "maxProperties": 1}]},
        "Health": _object(status={"const": "ok"}),
        **_past_schemas(),
        "Readiness": _object(
            status={"const": "ready"}, checks={"type": "object", "additionalProperties": text}, hsm=ref("Hsm"),
            worker=ref("Worker"),
        ),
        "Worker": _object(
            state={"enum": ["ok", "failing", "away"]},
            jobs={"type": "object", "additionalProperties": _object(state=text, code=text, done_at=_or_null(time))},
        ),
        "Hsm": _object(
            state={"enum": list(STATES)}, breaker={"enum": list(BREAKERS)}, reason=text, retry_after={"type": "integer"},
            counts={"type": "object", "additionalProperties": {"type": "integer"}},
        ),
        # RFC 9457 3: members beyond these may be added.
        "Problem": {
            "type": "object",
            "required": ["type", "title", "status", "code", "detail"],
            "properties": {
                "type": text, "title": text, "status": {"type": "integer"}, "code": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]+$"},
                "detail": text,
                "sources": {
                    "type": "array",
                    "description": "What does not answer, and when it last did.",
                    "items": _object(kind=text, last_good=_or_null(time)),
                },
            },
        },
    }  # fmt: skip


def _past_schemas() -> Schema:
    """A certificate at a time of the past, and what a registration system sends."""
    text: Schema = {"type": "string"}
    time: Schema = {"type": "string", "format": "date-time"}
    sha256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    then: Schema = {
        "state": {"enum": ["not-issued", "intent", "active", "suspended", "revoked", "expired", "suspect"]},
        "revoked_at": _or_null(time),
        "revocation_reason": _or_null(text),
        "suspect_since": _or_null(time),
    }
    event = _object(
        time=time,
        act={"enum": ["intend", "issue", "suspend", "revoke", "reinstate"]},
        reason=_or_null(text),
        suspect_since=_or_null(time),
    )
    listed = _object(reason=text, revoked_at=_or_null(time), suspect_since=_or_null(time))
    whole: Schema = {"type": "integer"}
    crl = _object(
        authority=text,
        number=whole,
        partition=_or_null(whole),
        delta_base=_or_null(whole),
        this_update=time,
        next_update=time,
        in_force={"type": "boolean"},
        sha256=sha256,
        listed=_or_null(listed),
        file=text,
    )
    answer = _object(
        status={"enum": ["good", "revoked"]},
        reason=_or_null(text),
        this_update=time,
        next_update=time,
        given_out={"type": "boolean"},
        responder=text,
        sha256=sha256,
        file=text,
    )
    issuer = _object(authority=text, serial=text, **then, today=_object(**then), crls={"type": "array", "items": crl})
    reason: Schema = {
        "type": "string",
        "description": "A reason of RFC 5280 5.3.1; to suspend there is an operation of its own.",
    }
    since: Schema = {
        "type": "string",
        "description": "RFC 3339 with a zone: since when the key is believed to have been compromised.",
    }
    return {
        "CertificatePast": _object(
            serial=text, at=time, **then, today=_object(asked_at=time, **then), later={"type": "array", "items": event},
            crls={"type": "array", "items": crl}, ocsp=_or_null(answer),
            lost_days=_or_null(_LOST_DAYS), issuers={"type": "array", "items": issuer}, certificate=ref("Certificate"),
        ),
        "CertificateOrPast": {"anyOf": [ref("Certificate"), ref("CertificatePast")]},
        "RevokeRequest": _object({"since": since}, reason=reason),
        "SuspendRequest": _object({"since": since}),
        "EmptyRequest": _object(),
        "RenewRequest": _object({
            "csr": {"type": "string", "description": "A request in PEM: its public key and proof, and nothing else of it."},
            "days": {"type": "integer", "minimum": 1, "maximum": 36525, "description": "For a shorter term than the profile has."},
            "force": {"type": "boolean", "description": "Also before the last third of its term, or once more."},
        }),
    }  # fmt: skip


def _verdict_schemas() -> Schema:
    """The verdict's own schema, its parts moved to where OpenAPI wants them and named like the rest."""
    raw = files("signer.validation").joinpath("verdict.schema.json").read_text("utf-8")
    parts: Schema = json.loads(raw)["$defs"]
    names = {part: "Verdict" + part.title().replace("_", "") for part in parts}
    for part, name in names.items():
        raw = raw.replace(f'"#/$defs/{part}"', f'"#/components/schemas/{name}"')
    schema: Schema = json.loads(raw)
    moved: Schema = schema.pop("$defs")
    for name in ("$schema", "$id"):
        del schema[name]
    return {"Verdict": schema} | {names[part]: moved[part] for part in moved}


BESIDE: Schema = {
    "type": "string",
    "contentMediaType": "application/octet-stream",
    "description": "The file that a signature (.p7s) or time-stamp (.tsr) belongs to",
}
VERIFY_SAID = (
    "The verdict of `antin verify --json`. No login; nothing of the file is kept. **Accept a document only if "
    "`conclusion` is `valid` and `document.status` is `in-force`:** `conclusion` judges signatures alone. `format` says what "
    "was judged: PDF, CMS, a time-stamp (RFC3161) or a certificate (X.509). The last two are signed documents of nobody, also "
    "when they are valid. A signature or time-stamp in a file of its own takes what it belongs to as `content`."
)
