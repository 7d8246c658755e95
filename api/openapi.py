"""The OpenAPI document of the service, written by hand: what is promised is decided here, not derived from how it is made.

A test holds it to the routes, in both directions; schemathesis holds the answers to it.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from api.metrics import BREAKERS, STATES
from api.settings import LEVELS
from signer.validation.verdict import software

Schema = dict[str, Any]

_PROBLEMS = {
    400: "The request is malformed: `code` says where.",
    401: "No token, or one that is unknown, expired or revoked.",
    403: "The token lacks the scope, or came over plain HTTP from outside this machine.",
    404: "There is no such thing.",
    408: "The body came too slowly.",
    409: "Order, idempotency or state: the request contradicts what is already so.",
    413: "The body is larger than web.max_upload_mb allows.",
    415: "Not the media type that is expected, or the file is not a PDF.",
    422: "A rule refuses it; `code` says which.",
    429: "Too many requests of one client; Retry-After says when to go on.",
    503: "A part that is needed is away (keys, database, disk); Retry-After says when to ask again.",
}


def build_openapi() -> Schema:
    """The whole document (OpenAPI 3.1)."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Antin",
            "version": software().removeprefix("antin "),
            "summary": "Digital signatures and PKI for public agencies.",
            "description": "Errors are problem documents (RFC 9457) with a stable `code`; `detail` is its sentence in English. "
            "Tokens come from `antin token issue --scope sign` and are sent as `Authorization: Bearer antin_…`, over TLS or on "
            "loopback only.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [
            {"name": "documents", "description": "Sign, look up, recall, verify."},
            {"name": "certificates", "description": "Certificates and what relying parties fetch."},
            {"name": "protocols", "description": "OCSP (RFC 6960) and time-stamps (RFC 3161)."},
            {"name": "operation", "description": "Health and metrics."},
        ],
        "paths": _document_paths() | _certificate_paths() | _protocol_paths() | _operation_paths(),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "antin token issue"}},
        },
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(description: str, schema: str) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": _ref(schema)}}}


def _binary(description: str, *media_types: str) -> Schema:
    return {"description": description, "content": {media: {} for media in media_types}}


def _problems(*statuses: int) -> Schema:
    content = {"application/problem+json": {"schema": _ref("Problem")}}
    return {str(status): {"description": _PROBLEMS[status], "content": content} for status in statuses}


def _path(name: str, description: str, **schema: Any) -> Schema:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", **schema},
    }


_OPEN: list[Schema] = [{}, {"token": []}]
_TOKEN: list[Schema] = [{"token": []}]


def _document_paths() -> Schema:
    file = {"type": "string", "format": "binary", "contentMediaType": "application/pdf", "description": "The PDF file."}
    code = _path("code", "The code as printed on the paper; case, spaces and hyphens do not matter.", minLength=1)
    signing: Schema = {
        "type": "object",
        "required": ["file", "credential"],
        "additionalProperties": False,
        "properties": {
            "file": file,
            "credential": {
                "type": "string",
                "pattern": "^[a-z0-9-]{1,32}$",
                "description": "Who signs, like officer or seal.",
            },
            "intent": {"enum": ["approve", "issue"], "description": "Default: officer approve, seal issue."},
            "level": {"enum": list(LEVELS), "description": "Default: the setting sign.level."},
            "metadata": {
                "type": "string",
                "description": "A JSON object with the names of ND30 Appendix VI, like CodeNotation.",
            },
            "placement": {"type": "string", "description": "auto, none, required, or PAGE,X,Y in millimetres."},
        },
    }
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "A name for this request, made by the client. Repeated with the same body it gets the same answer, for 24 hours.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    }
    return {
        "/api/v1/verify": {
            "post": {
                "operationId": "verify",
                "tags": ["documents"],
                "summary": "Judge a file",
                "description": "The verdict of `antin verify --json`. No login; nothing of the file is kept.",
                "security": _OPEN,
                "requestBody": _multipart(
                    {
                        "type": "object",
                        "required": ["file"],
                        "additionalProperties": False,
                        "properties": {"file": file},
                    }
                ),
                "responses": {"200": _json("The verdict, whatever it is; also `unreadable`.", "Verdict")}
                | _problems(400, 401, 403, 408, 413, 415, 429, 503),
            }
        },
        "/api/v1/documents": {
            "post": {
                "operationId": "sign",
                "tags": ["documents"],
                "summary": "Sign a document",
                "description": "Scope `sign`. The credential's key signs the file; the answer names the document of the register.",
                "security": _TOKEN,
                "parameters": [key],
                "requestBody": _multipart(signing),
                "responses": {
                    "201": _json("Signed and registered.", "SignedDocument")
                    | {"headers": {"Location": {"description": "The document.", "schema": {"type": "string"}}}}
                }
                | _problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
            }
        },
        "/api/v1/documents/{code}": {
            "get": {
                "operationId": "getDocument",
                "tags": ["documents"],
                "summary": "A document of the register",
                "description": "Public facts; with a token of scope sign, verify or audit also names, metadata and each signature.",
                "security": _OPEN,
                "parameters": [code],
                "responses": {"200": _json("The document.", "Document")} | _problems(401, 403, 404, 429, 503),
            }
        },
        "/api/v1/documents/{code}/file": {
            "get": {
                "operationId": "getDocumentFile",
                "tags": ["documents"],
                "summary": "The newest signed revision",
                "security": _OPEN,
                "parameters": [code],
                "responses": {"200": _binary("The file.", "application/pdf")} | _problems(401, 403, 404, 429, 503),
            }
        },
        "/api/v1/documents/{code}/recall": {
            "post": {
                "operationId": "recallDocument",
                "tags": ["documents"],
                "summary": "Recall a document",
                "description": "Scope `sign`. The signature stays as good as it was; the document is out of force, at once.",
                "security": _TOKEN,
                "parameters": [code],
                "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("Recall")}}},
                "responses": {"200": _json("Recalled.", "Document")}
                | _problems(400, 401, 403, 404, 408, 409, 413, 415, 429, 503),
            }
        },
    }


def _multipart(schema: Schema) -> Schema:
    encoding = {"file": {"contentType": "application/pdf"}}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema, "encoding": encoding}}}


def _certificate_paths() -> Schema:
    authority = _path("authority", "The authority's name, like issuing.", pattern="^[a-z0-9-]{1,32}$")
    number = _path("number", "The CRL's number.", pattern="^[1-9][0-9]{0,17}$")

    def file(operation: str, summary: str, media_type: str, *parameters: Schema) -> Schema:
        return {
            "get": {
                "operationId": operation,
                "tags": ["certificates"],
                "summary": summary,
                "parameters": list(parameters),
                "responses": {
                    "200": _binary("The file, in DER.", media_type),
                    "304": {"description": "The caller's copy is still the one."},
                }
                | _problems(404, 503),
            }
        }

    return {
        "/api/v1/certificates/{serial}": {
            "get": {
                "operationId": "getCertificate",
                "tags": ["certificates"],
                "summary": "A certificate and its state",
                "description": "Persons' numbers are masked; a token of scope ra, ca or audit sees them and the certificate in PEM.",
                "security": _OPEN,
                "parameters": [_path("serial", "Hexadecimal; colons and spaces do not matter.", minLength=1)],
                "responses": {"200": _json("The certificate.", "Certificate")} | _problems(401, 403, 404, 429, 503),
            }
        },
        "/crl/{authority}.crl": file("getCrl", "The newest CRL of an authority", "application/pkix-crl", authority),
        "/crl/{authority}/{number}.crl": file(
            "getCrlByNumber", "The CRL of a number", "application/pkix-crl", authority, number
        ),
        "/ca/{authority}.cer": file("getAuthority", "An authority's certificate", "application/pkix-cert", authority),
    }


def _protocol_paths() -> Schema:
    def exchange(operation: str, summary: str, query: str, reply: str) -> Schema:
        body = {"required": True, "content": {query: {"schema": {"type": "string", "format": "binary"}}}}
        return {
            "post": {
                "operationId": operation,
                "tags": ["protocols"],
                "summary": summary,
                "description": "Failures are told in the protocol's own way.",
                "requestBody": body,
                "responses": {"200": _binary("The answer, in DER.", reply)} | _problems(408, 413, 415, 503),
            }
        }

    stamps = exchange(
        "postTimestamp", "Ask for a time-stamp", "application/timestamp-query", "application/timestamp-reply"
    )
    # Without its key the TSA refuses in its own form, and HTTP says when to come again.
    stamps["post"]["responses"]["503"]["content"]["application/timestamp-reply"] = {}
    request = _path("request", "The request in base64, as RFC 6960 A.1 has it.", minLength=1, maxLength=22_000)
    return {
        "/ocsp": exchange(
            "postOcsp", "Ask for the state of certificates", "application/ocsp-request", "application/ocsp-response"
        ),
        "/ocsp/{request}": {
            "get": {
                "operationId": "getOcsp",
                "tags": ["protocols"],
                "summary": "The same, so that caches can answer",
                "parameters": [request],
                "responses": {"200": _binary("The answer, in DER.", "application/ocsp-response")} | _problems(400, 503),
            }
        },
        "/tsa": stamps,
    }


def _operation_paths() -> Schema:
    def look(operation: str, summary: str, responses: Schema) -> Schema:
        return {"get": {"operationId": operation, "tags": ["operation"], "summary": summary, "responses": responses}}

    return {
        "/healthz": look("healthz", "This process answers", {"200": _json("It does.", "Health")}),
        "/readyz": look(
            "readyz",
            "Keys, database and fresh CRLs are there",
            {"200": _json("They are.", "Readiness")} | _problems(503),
        ),
        "/metrics": look(
            "metrics",
            "Counts for Prometheus, from this machine only",
            {"200": {"description": "The text form.", "content": {"text/plain": {"schema": {"type": "string"}}}}}
            | _problems(403),
        ),
    }


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


def _schemas() -> Schema:
    text: Schema = {"type": "string"}
    time: Schema = {"type": "string", "format": "date-time"}
    sha256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    status: Schema = {"enum": ["in-force", "recalled", "replaced", "corrected"]}
    number: Schema = {"type": "integer", "minimum": 1}
    change = _object(status=status, reason=text, changed_at=time)
    signature = _object(
        state={"enum": ["intent", "done", "failed"]}, credential=text, intent=text, level=text, field=text, certificate=text,
        claimed_time=time, sha256=_or_null(sha256), actor=text,
    )  # fmt: skip
    inside = {
        "name": text,
        "subject": text,
        "metadata": {"type": "object"},
        "signatures": {"type": "array", "items": signature},
    }
    return _verdict_schemas() | {
        "Links": _object(self=text, file=text, verify=text),
        "SignedDocument": _object(code=text, sha256=sha256, status=status, level={"enum": list(LEVELS)}, links=_ref("Links")),
        "Document": _object(
            inside, code=text, status=status, sha256=_or_null(sha256), level=_or_null(text), agency=text, number=_or_null(number),
            year=_or_null(number), notation=_or_null(text), created_at=time, issued_at=_or_null(time),
            changes={"type": "array", "items": change}, links=_ref("Links"),
        ),
        "Recall": _object(reason={"type": "string", "minLength": 1, "maxLength": 500, "description": "Why. Everybody may read it."}),
        "Certificate": _object(
            {"pem": text}, serial=text, profile=text, subject=text, common_name=text, issuer=text,
            state={"enum": ["intent", "active", "suspended", "revoked", "expired"]}, not_before=time, not_after=time,
            sha256=_or_null(sha256), revoked_at=_or_null(time), revocation_reason=_or_null(text),
        ),
        "Health": _object(status={"const": "ok"}),
        "Readiness": _object(
            status={"const": "ready"}, checks={"type": "object", "additionalProperties": text}, hsm=_ref("Hsm")
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
            },
        },
    }  # fmt: skip


def _verdict_schemas() -> Schema:
    """The verdict's own schema, its parts moved to where OpenAPI wants them."""
    raw = files("signer.validation").joinpath("verdict.schema.json").read_text("utf-8")
    schema: Schema = json.loads(raw.replace("#/$defs/", "#/components/schemas/Verdict_"))
    parts: Schema = schema.pop("$defs")
    for name in ("$schema", "$id"):
        del schema[name]
    return {"Verdict": schema} | {f"Verdict_{name}": part for name, part in parts.items()}
