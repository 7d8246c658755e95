"""The part of the OpenAPI document that is about batches; the rest is openapi.py's."""

from __future__ import annotations

from api.openapi_intents import INTENT, PARTICULARS, PLACEMENT_SAID
from api.openapi_life import Parts
from api.openapi_register import SUBFILTER
from api.openapi_schemas import Schema, ref
from signer.levels import LEVELS
from signer.subfilters import SUBFILTERS

_TOKEN: list[Schema] = [{"token": []}]


def batch_paths(parts: Parts, idempotency_key: Schema) -> Schema:
    """Hand in, look up, call off. `parts.serial` is the parameter of the path: here the batch's id."""
    return {
        "/api/v1/batches": {
            "post": {
                "operationId": "addBatch",
                "tags": ["documents"],
                "summary": "Hand in many documents to be signed",
                "description": "Scope `sign`. The files are kept, and signed in the background by the credential named, with the token's "
                "right as it is then; one that is refused stops none of the others. Ask `GET` until `state` is `ended`. Up to "
                "web.max_batch_documents files and web.max_batch_mb. What is handed in survives restarts; what is away only delays it.",
                "security": _TOKEN,
                "parameters": [idempotency_key],
                "requestBody": {
                    "required": True,
                    "content": {
                        "multipart/form-data": {"schema": _FORM, "encoding": {"file": {"contentType": "application/pdf"}}}
                    },
                },
                "responses": {
                    "202": parts.json("Registered; the batch as it stands.", "Batch", "addBatch")
                    | {"headers": {"Location": {"description": "The batch.", "schema": {"type": "string"}}}}
                }
                | parts.problems(
                    400, 401, 403, 408, 409, 413, 415, 422, 429, 503,
                    said={
                        413: "More than web.max_batch_mb or web.max_batch_documents.",
                        415: "The Content-Type is not multipart/form-data.",
                    },
                ),
                "x-codeSamples": parts.curl(
                    "-H 'Authorization: Bearer TOKEN' -F file=@a.pdf -F file=@b.pdf -F credential=officer $BASE/api/v1/batches"
                ),
            }
        },
        "/api/v1/batches/{id}": {
            "get": {
                "operationId": "getBatch",
                "tags": ["documents"],
                "summary": "What became of each document of a batch",
                "description": "The token that handed it in, another of the same person, or scope `audit`.",
                "security": _TOKEN,
                "parameters": [parts.serial],
                "responses": {"200": parts.json("The batch.", "Batch", "getBatch")}
                | parts.problems(401, 403, 404, 429, 503),
                "x-codeSamples": parts.curl("-H 'Authorization: Bearer TOKEN' $BASE/api/v1/batches/ID"),
            }
        },
        "/api/v1/batches/{id}/cancel": {
            "post": {
                "operationId": "cancelBatch",
                "tags": ["documents"],
                "summary": "Sign no more of a batch",
                "description": "Scope `sign`. What is being signed is finished, and what was signed stays; the rest becomes `cancelled`.",
                "security": _TOKEN,
                "parameters": [parts.serial],
                "responses": {"200": parts.json("The batch as it stands.", "Batch", "cancelBatch")}
                | parts.problems(401, 403, 404, 429, 503),
                "x-codeSamples": parts.curl("-X POST -H 'Authorization: Bearer TOKEN' $BASE/api/v1/batches/ID/cancel"),
            }
        },
    }  # fmt: skip


_FORM: Schema = {
    "type": "object",
    "required": ["file", "credential"],
    "additionalProperties": False,
    "properties": {
        "file": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "format": "binary", "contentMediaType": "application/pdf"},
            "description": "The PDF files: the part `file` once for each.",
        },
        "credential": {"type": "string", "pattern": "^[a-z0-9-]{1,32}$", "description": "Who signs all of them."},
        "intent": INTENT,
        **PARTICULARS,
        "level": {"enum": list(LEVELS), "description": "Default: the setting sign.level."},
        "metadata": {"type": "string", "description": "A JSON object as for one document; what all of them share."},
        "placement": {"type": "string", "description": PLACEMENT_SAID},
        "subfilter": {"enum": list(SUBFILTERS), "description": SUBFILTER},
        "certify": {"enum": ["1", "2", "3"], "description": "As for one document: what others may still do."},
        "lock": {"type": "string", "description": "As for one document: FIELD,…, all, or all-but FIELD,…."},
        "activation": {
            "type": "string",
            "description": "The consent to sign all of them with, where the credential asks for one; it is to last until they are signed.",
        },
        "password": {
            "type": "string",
            "maxLength": 127,
            "description": "What opens the files, where they are encrypted; sealed until the batch has ended.",
        },
        "documents": {
            "type": "string",
            "description": "A JSON list of one object for each file, in their order, with `reference` (your own name for it), "
            "`metadata` (added to what all share) and `placement`; each may be left out.",
        },
    },
}


def batch_schemas() -> Schema:
    """The answer."""
    text: Schema = {"type": "string"}
    time: Schema = {"type": "string", "format": "date-time"}
    states = ["waiting", "done", "failed", "cancelled"]
    document: Schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["position", "name", "reference", "state", "delayed", "document", "error"],
        "properties": {
            "position": {"type": "integer"},
            "name": text,
            "reference": text,
            "state": {"enum": states},
            "delayed": {"type": "boolean", "description": "Something that is needed is away; it is tried again by itself."},
            "document": {"anyOf": [ref("SignedDocument"), {"type": "null"}], "description": "Once it is signed."},
            "error": {
                "anyOf": [
                    {"type": "object", "required": ["code", "detail"], "properties": {"code": text, "detail": text}},
                    {"type": "null"},
                ],
                "description": "Why it was refused, as the problem of a single signature says it.",
            },
        },
    }  # fmt: skip
    return {
        "Batch": {
            "type": "object",
            "additionalProperties": False,
            "required": [
                "id", "state", "credential", "level", "total", "counts", "created_at", "ended_at", "documents", "links",
            ],
            "properties": {
                "id": text,
                "state": {"enum": ["open", "cancelling", "ended"]},
                "credential": text,
                "level": {"enum": list(LEVELS)},
                "total": {"type": "integer"},
                "counts": {"type": "object", "properties": {name: {"type": "integer"} for name in states}},
                "created_at": time,
                "ended_at": {"anyOf": [time, {"type": "null"}]},
                "documents": {"type": "array", "items": document},
                "links": {"type": "object", "required": ["self", "cancel"], "properties": {"self": text, "cancel": text}},
            },
        }
    }  # fmt: skip


def batch_examples(signed: Schema) -> Schema:
    """One that waits, and the same when it has ended."""
    own = "/api/v1/batches/0f1e2d3c4b5a69788796a5b4c3d2e1f0"

    def document(position: int, state: str, **more: object) -> Schema:
        name = f"{position + 1}.pdf"
        return {
            "position": position, "name": name, "reference": f"file-{position}", "state": state, "delayed": False,
            "document": None, "error": None, **more,
        }  # fmt: skip

    refusal = {"code": "INPUT_NOT_PDF", "detail": "This is not a PDF file."}
    waiting: Schema = {
        "id": own.rsplit("/", 1)[1], "state": "open", "credential": "officer", "level": "B-B", "total": 2,
        "counts": {"waiting": 2, "done": 0, "failed": 0, "cancelled": 0}, "created_at": "2026-11-22T02:15:30Z",
        "ended_at": None, "documents": [document(0, "waiting"), document(1, "waiting")],
        "links": {"self": own, "cancel": f"{own}/cancel"},
    }  # fmt: skip
    ended = waiting | {
        "state": "ended", "counts": {"waiting": 0, "done": 1, "failed": 1, "cancelled": 0}, "ended_at": "2026-11-22T02:15:31Z",
        "documents": [document(0, "done", document=signed), document(1, "failed", error=refusal)],
    }  # fmt: skip
    called_off = waiting | {"state": "cancelling"}
    return {"addBatch": waiting, "getBatch": ended, "cancelBatch": called_off}
