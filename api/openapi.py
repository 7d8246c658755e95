"""The OpenAPI document of the service, written by hand: what is promised is decided here, not derived from how it is made.

A test holds it to the routes, in both directions; schemathesis holds the answers to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.openapi_batches import batch_examples, batch_paths, batch_schemas
from api.openapi_intents import INTENT, PARTICULARS, PLACEMENT_SAID
from api.openapi_life import AT, Parts, issuing_paths, life_paths
from api.openapi_prepared import prepared_paths, prepared_schemas
from api.openapi_preview import preview_paths
from api.openapi_register import SUBFILTER, search_operation, status_paths
from api.openapi_schemas import BESIDE, EXAMPLES, PROBLEM_EXAMPLE, VERIFY_SAID, Schema, build_schemas, ref
from api.openapi_verdicts import RECEIPT_PARAMETER, VERDICT_WISHES, wish_parameters, with_receipt
from signer.levels import LEVELS
from signer.subfilters import SUBFILTERS
from signer.validation.verdict import software

_PROBLEMS = {
    400: "The request is malformed: `code` says where.",
    401: "No token, or one that is unknown, expired or revoked.",
    403: "The token lacks the scope, or came over plain HTTP from outside this machine.",
    404: "There is no such thing.",
    408: "The body came too slowly.",
    409: "Order, idempotency or state: the request contradicts what is already so.",
    413: "The body is larger than web.max_upload_mb allows.",
    415: "Not the media type that is expected.",
    422: "A rule refuses it; `code` says which.",
    429: "Too many requests of one client; Retry-After says when to go on.",
    503: "A part that is needed is away (keys, database, disk); Retry-After says when to ask again.",
}


# Where no token is asked for, one may be sent all the same; then it has to be good.
_TOKEN_SENT = {
    401: "Only when a token is sent, which need not be: it is unknown, expired or revoked.",
    403: "Only when a token is sent, which need not be: it came over plain HTTP from outside this machine.",
}


def build_openapi() -> Schema:
    """The whole document (OpenAPI 3.1)."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Antin",
            "version": software().removeprefix("antin "),
            "summary": "Digital signatures and PKI for public agencies.",
            "description": "`conclusion` judges signatures: **accept a document only if `conclusion` is `valid` and "
            "`document.status` is `in-force`.** Errors are problem documents (RFC 9457) with a stable `code`; `detail` is its "
            "sentence in English. Tokens come from `antin token issue --scope sign` and are sent as `Authorization: Bearer "
            "antin_…`, over TLS or on loopback only.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The service that this document came from."}],
        "tags": [
            {"name": "documents", "description": "Sign, look up, recall, verify."},
            {"name": "certificates", "description": "Certificates and what relying parties fetch."},
            {"name": "protocols", "description": "OCSP (RFC 6960) and time-stamps (RFC 3161)."},
            {"name": "operation", "description": "Health and metrics."},
        ],
        "paths": _document_paths() | _certificate_paths() | _protocol_paths() | _operation_paths(),
        "components": {
            "schemas": build_schemas() | batch_schemas() | prepared_schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "antin token issue"}},
        },
    }


def _json(description: str, schema: str, operation: str) -> Schema:
    content = {"schema": ref(schema), "example": _EXAMPLES[operation]}
    return {"description": description, "content": {"application/json": content}}


def _binary(description: str, *media_types: str) -> Schema:
    return {"description": description, "content": {media: {} for media in media_types}}


def _problems(*statuses: int, said: Mapping[int, str] | None = None) -> Schema:
    """Answers that refuse; `said` has the texts of an operation that differ from the usual ones."""
    content = {"application/problem+json": {"schema": ref("Problem"), "example": PROBLEM_EXAMPLE}}
    texts = _PROBLEMS | dict(said or {})
    return {str(status): {"description": texts[status], "content": content} for status in statuses}


def _path(name: str, description: str, **schema: Any) -> Schema:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", **schema},
    }


_VERDICT_SAID = "The verdict, whatever it is; also `unreadable`."
_KNOWN_SAID = "The verdict; also that there is no such file."
_NO_FORM = {415: "The Content-Type is not multipart/form-data."}


def _curl(words: str) -> list[Schema]:
    """An example as the extension has it that documentation tools know; $BASE is the address of the service."""
    return [{"lang": "Shell", "label": "curl", "source": f"curl {words}"}]


_EXAMPLES = EXAMPLES | batch_examples(EXAMPLES["sign"])
_OPEN: list[Schema] = [{}, {"token": []}]
_TOKEN: list[Schema] = [{"token": []}]


_IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A name for this request, made by the client: 1 to 255 printable ASCII characters. Repeated by the same "
    "token with the same body it gets the same answer, for 24 hours; keys of other tokens do not count.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


_BATCH_ID = _path("id", "The batch's id, from the answer of handing it in.", pattern="^[0-9a-f]{32}$")


def _document_paths() -> Schema:
    file = {"type": "string", "format": "binary", "contentMediaType": "application/pdf", "description": "The PDF file."}
    code = _path(
        "code",
        "The lookup code, from the answer of signing or as the agency told it; capitals, spaces and hyphens do not matter.",
        minLength=1,
    )
    password: Schema = {
        "type": "string",
        "description": "What opens an encrypted file, its owner's where the user may not sign. Neither kept nor logged.",
    }
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
            "intent": INTENT,
            **PARTICULARS,
            "level": {"enum": list(LEVELS), "description": "Default: the setting sign.level."},
            "metadata": {
                "type": "string",
                "description": 'A JSON object with names of Decree 30/2020, Appendix VI, like {"Subject": "…", "CodeNotation": "UBND-VP"}. '
                "The names and their lengths stand below. CodeNotation is the symbol without the number, which the seal adds.",
            },
            "placement": {"type": "string", "description": PLACEMENT_SAID},
            "field": {
                "type": "string",
                "description": "The signature field to sign in, instead of one that Antin chooses.",
            },
            "certify": {
                "type": "string",
                "enum": ["1", "2", "3"],
                "description": "Certify: others may change nothing (1), fill in and sign (2), annotate too (3).",
            },
            "activation": {
                "type": "string",
                "description": "The consent to sign with, where the credential asks for one: what antin consent give has printed.",
            },
            "lock": {
                "type": "string",
                "description": "Form fields that nobody may change after this signature: FIELD,…, all, or all-but FIELD,…",
            },
            "password": password,
            "subfilter": {"enum": list(SUBFILTERS), "description": SUBFILTER},
        },
    }
    return {
        "/api/v1/verify": {
            "post": {
                "operationId": "verify",
                "tags": ["documents"],
                "summary": "Judge a file",
                "description": VERIFY_SAID,
                "security": _OPEN,
                "requestBody": _multipart(
                    {
                        "type": "object",
                        "required": ["file"],
                        "additionalProperties": False,
                        "properties": {"file": file, "content": BESIDE, "password": password, **VERDICT_WISHES},
                    }
                ),
                "parameters": [RECEIPT_PARAMETER],
                "responses": {"200": with_receipt(_json(_VERDICT_SAID, "Verdict", "verify"))}
                | _problems(400, 401, 403, 408, 413, 415, 429, 503, said=_TOKEN_SENT | _NO_FORM),
                "x-codeSamples": _curl("-F file=@issued.pdf $BASE/api/v1/verify"),
            },
            "get": {
                "operationId": "verifyKnown",
                "tags": ["documents"],
                "summary": "Judge a file of the register without sending it",
                "description": "By its SHA-256 (a finished revision, or the whole file) or by a document's code: one of the two. "
                "`HASH_NOT_FOUND` says that this register has no such file, and nothing against the file; `file` is what was asked.",
                "security": _OPEN,
                "parameters": [
                    {
                        "name": "sha256",
                        "in": "query",
                        "description": "SHA-256 of the file in hex",
                        "schema": {"type": "string", "maxLength": 200},
                    },
                    {
                        "name": "code",
                        "in": "query",
                        "description": "the document's code, as printed on it",
                        "schema": {"type": "string", "maxLength": 100},
                    },
                    *wish_parameters(),
                    RECEIPT_PARAMETER,
                ],
                "responses": {"200": with_receipt(_json(_KNOWN_SAID, "Verdict", "verify"))}
                | _problems(400, 401, 403, 404, 429, 503, said=_TOKEN_SENT),
                "x-codeSamples": _curl('"$BASE/api/v1/verify?sha256=$(sha256sum issued.pdf | cut -c1-64)"'),
            },
        },
        "/api/v1/documents": {
            "get": search_operation(Parts(_json, _binary, _problems, _curl, code, _TOKEN_SENT)),
            "post": {
                "operationId": "sign",
                "tags": ["documents"],
                "summary": "Sign a document",
                "description": "Scope `sign`. The credential's key signs the file; the answer names the document of the register. The "
                "officer signs first; the seal goes on the file that he signed (`GET …/file`), gives the number and issues the "
                "document, once.",
                "security": _TOKEN,
                "parameters": [_IDEMPOTENCY_KEY],
                "requestBody": _multipart(signing),
                "responses": {
                    "201": _json("Signed and registered.", "SignedDocument", "sign")
                    | {"headers": {"Location": {"description": "The document.", "schema": {"type": "string"}}}}
                }
                | _problems(
                    400,
                    401,
                    403,
                    408,
                    409,
                    413,
                    415,
                    422,
                    429,
                    503,
                    said={415: "Not multipart/form-data, or the file is not a PDF."},
                ),
                "x-codeSamples": _curl(
                    "-H 'Authorization: Bearer TOKEN' -F file=@letter.pdf -F credential=officer $BASE/api/v1/documents"
                ),
            },
        },
        "/api/v1/documents/{code}": {
            "get": {
                "operationId": "getDocument",
                "tags": ["documents"],
                "summary": "A document of the register",
                "description": "Public facts; with a token of scope sign, verify or audit also names, metadata and each signature.",
                "security": _OPEN,
                "parameters": [code],
                "responses": {"200": _json("The document.", "DocumentRecord", "getDocument")}
                | _problems(401, 403, 404, 429, 503, said=_TOKEN_SENT),
                "x-codeSamples": _curl("$BASE/api/v1/documents/CODE"),
            }
        },
        "/api/v1/documents/{code}/file": {
            "get": {
                "operationId": "getDocumentFile",
                "tags": ["documents"],
                "summary": "The newest signed revision",
                "description": "No login: whoever knows the code may fetch the file. A code cannot be guessed (95 random bits).",
                "security": _OPEN,
                "parameters": [code],
                "responses": {"200": _binary("The file.", "application/pdf")}
                | _problems(401, 403, 404, 429, 503, said=_TOKEN_SENT),
                "x-codeSamples": _curl("$BASE/api/v1/documents/CODE/file -o signed.pdf"),
            }
        },
        **batch_paths(Parts(_json, _binary, _problems, _curl, _BATCH_ID, _TOKEN_SENT), _IDEMPOTENCY_KEY),
        **status_paths(Parts(_json, _binary, _problems, _curl, code, _TOKEN_SENT)),
        **preview_paths(Parts(_json, _binary, _problems, _curl, code, _TOKEN_SENT), signing),
        **prepared_paths(Parts(_json, _binary, _problems, _curl, code, _TOKEN_SENT), signing, _IDEMPOTENCY_KEY),
    }


def _multipart(schema: Schema) -> Schema:
    encoding = {"file": {"contentType": "application/pdf"}}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema, "encoding": encoding}}}


def _certificate_paths() -> Schema:
    authority = _path("authority", "The authority's name, like issuing.", pattern="^[a-z0-9-]{1,32}$")
    number = _path("number", "The CRL's number.", pattern="^[1-9][0-9]{0,17}$")
    shard = _path("shard", "The partition, as a certificate's distribution point says.", pattern="^[1-9][0-9]{0,3}$")

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

    serial = _path("serial", "Hexadecimal; colons and spaces do not matter.", minLength=1)
    parts = Parts(_json, _binary, _problems, _curl, serial, _TOKEN_SENT)
    return (
        issuing_paths(parts, _IDEMPOTENCY_KEY)
        | life_paths(parts)
        | {
            "/api/v1/certificates/{serial}": {
                "get": {
                    "operationId": "getCertificate",
                    "tags": ["certificates"],
                    "summary": "A certificate and its state",
                    "description": "Persons' numbers are masked; a token of scope ra, ca or audit sees them and the certificate in PEM. "
                    "With `at`: what was true then, what is known today, and the CRLs and the stored OCSP answer of that time.",
                    "security": _OPEN,
                    "parameters": [serial, AT],
                    "responses": {"200": _json("The certificate, or its past.", "CertificateOrPast", "getCertificate")}
                    | _problems(400, 401, 403, 404, 429, 503, said=_TOKEN_SENT),
                    "x-codeSamples": _curl("$BASE/api/v1/certificates/SERIAL"),
                }
            },
            "/crl/{authority}.crl": file("getCrl", "The newest CRL of an authority", "application/pkix-crl", authority),
            "/crl/{authority}/{number}.crl": file(
                "getCrlByNumber", "The CRL of a number", "application/pkix-crl", authority, number
            ),
            "/crl/{authority}/delta.crl": file(
                "getDeltaCrl", "What changed since the CRLs that are still good", "application/pkix-crl", authority
            ),
            "/crl/{authority}/delta/{number}.crl": file(
                "getDeltaCrlByNumber", "The delta of a number", "application/pkix-crl", authority, number
            ),
            "/crl/{authority}/s/{shard}.crl": file(
                "getPartitionCrl", "The newest CRL of a partition", "application/pkix-crl", authority, shard
            ),
            "/crl/{authority}/s/{shard}/delta.crl": file(
                "getPartitionDeltaCrl", "The newest delta of a partition", "application/pkix-crl", authority, shard
            ),
            "/ca/{authority}.cer": file(
                "getAuthority", "An authority's certificate", "application/pkix-cert", authority
            ),
        }
    )


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
                "responses": {"200": _binary("The answer, in DER.", reply)}
                | _problems(408, 413, 415, 503, said={415: f"The Content-Type is not {query}."}),
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
        "/healthz": look("healthz", "This process answers", {"200": _json("It does.", "Health", "healthz")}),
        "/readyz": look(
            "readyz",
            "Keys, database and fresh CRLs are there",
            {"200": _json("They are.", "Readiness", "readyz")} | _problems(503),
        ),
        "/metrics": look(
            "metrics",
            "Counts for Prometheus, from this machine only",
            {"200": {"description": "The text form.", "content": {"text/plain": {"schema": {"type": "string"}}}}}
            | _problems(403),
        ),
    }
