"""The part of the OpenAPI document that is about documents which wait for their signature; the rest is openapi.py's."""

from __future__ import annotations

from api.openapi_life import Parts
from api.openapi_schemas import Schema, ref
from signer.levels import LEVELS

_TOKEN: list[Schema] = [{"token": []}]
_ID: Schema = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The `id` that preparing answered.",
    "schema": {"type": "string", "minLength": 1},
}
_NOT_JSON = {415: "The Content-Type is not application/json."}


def prepared_paths(parts: Parts, signing: Schema, idempotency_key: Schema) -> Schema:
    """Prepare, look, finish, call off. `signing` is the form of a signature, whose fields are the same but for who signs."""
    own = signing["properties"]
    pem = "PEM, from outside: the key is on a card or at a signing service. "
    form: Schema = signing | {
        "required": ["file"],
        "properties": own
        | {
            "credential": own["credential"] | {"description": "Who signs; or else `certificate`."},
            "certificate": {"type": "string", "description": f"{pem}Or else `credential`."},
            "chain": {
                "type": "string",
                "description": "PEM: the authorities above that certificate, a root among them or not.",
            },
            "room": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1048576,
                "description": "Octets for the CMS, where it is large.",
            },
        },
    }
    encoding = {"file": {"contentType": "application/pdf"}}
    signed = parts.json("Signed and registered.", "SignedDocument", "finishPrepared")
    signed["headers"] = {"Location": {"description": "The document.", "schema": {"type": "string"}}}
    made = parts.json("Prepared; it waits.", "PreparedDocument", "prepareDocument")
    made["headers"] = {"Location": {"description": "The prepared document.", "schema": {"type": "string"}}}
    not_pdf = {415: "Not multipart/form-data, or the file is not a PDF."}
    return {
        "/api/v1/prepared": {
            "post": {
                "operationId": "prepareDocument",
                "tags": ["documents"],
                "summary": "Prepare a document for a signature made elsewhere or later",
                "description": "Scope `sign`. Field, stamp and room for the signature are in the file; it waits for `sign.prepared_hours`. "
                "Sign `to_be_signed` (or `hash`, where the signer hashes nothing himself) with the announced key.",
                "security": _TOKEN,
                "parameters": [idempotency_key],
                "requestBody": {
                    "required": True,
                    "content": {"multipart/form-data": {"schema": form, "encoding": encoding}},
                },
                "responses": {"201": made}
                | parts.problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503, said=not_pdf),
                "x-codeSamples": parts.curl(
                    "-H 'Authorization: Bearer TOKEN' -F file=@letter.pdf -F 'certificate=<card.pem' $BASE/api/v1/prepared"
                ),
            }
        },
        "/api/v1/prepared/{id}": {
            "get": {
                "operationId": "getPrepared",
                "tags": ["documents"],
                "summary": "A prepared document",
                "description": "Scope `sign`. How it stands, and what is to be signed.",
                "security": _TOKEN,
                "parameters": [_ID],
                "responses": {"200": parts.json("The prepared document.", "PreparedDocument", "getPrepared")}
                | parts.problems(401, 403, 404, 429, 503),
                "x-codeSamples": parts.curl("-H 'Authorization: Bearer TOKEN' $BASE/api/v1/prepared/ID"),
            },
            "delete": {
                "operationId": "cancelPrepared",
                "tags": ["documents"],
                "summary": "Call a prepared document off",
                "description": "Scope `sign`. Nobody will sign it: a number that it held becomes a gap, its file goes.",
                "security": _TOKEN,
                "parameters": [_ID],
                "responses": {"200": parts.json("Called off.", "PreparedDocument", "cancelPrepared")}
                | parts.problems(401, 403, 404, 409, 429, 503),
                "x-codeSamples": parts.curl("-X DELETE -H 'Authorization: Bearer TOKEN' $BASE/api/v1/prepared/ID"),
            },
        },
        "/api/v1/prepared/{id}/finish": {
            "post": {
                "operationId": "finishPrepared",
                "tags": ["documents"],
                "summary": "Finish a prepared document",
                "description": "Scope `sign`. The signature is checked before it is put in; a wrong one is 422, and the document waits on. "
                "Of several that finish one document at one time one does, the others get 409.",
                "security": _TOKEN,
                "parameters": [_ID, idempotency_key],
                "requestBody": {"required": True, "content": {"application/json": {"schema": ref("FinishRequest")}}},
                "responses": {"201": signed}
                | parts.problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503, said=_NOT_JSON),
                "x-codeSamples": parts.curl(
                    "-H 'Authorization: Bearer TOKEN' -H 'Content-Type: application/json' "
                    '-d \'{"signature": "BASE64"}\' $BASE/api/v1/prepared/ID/finish'
                ),
            }
        },
    }


def prepared_schemas() -> Schema:
    """What preparing answers, and what finishing is told."""
    text: Schema = {"type": "string"}
    nothing: Schema = {"type": "null"}
    time: Schema = {"type": "string", "format": "date-time"}
    base64: Schema = {"type": "string", "contentEncoding": "base64"}
    properties: Schema = {
        "id": text,
        "state": {"enum": ["waiting", "taken", "finished", "cancelled", "expired"]},
        "code": text | {"description": "The lookup code that the document will have."},
        "credential": {"anyOf": [text, nothing]},
        "certificate": text | {"description": "The serial of the certificate that it is prepared for."},
        "name": text,
        "intent": text,
        "level": {"enum": list(LEVELS)},
        "subfilter": text,
        "number": {"anyOf": [{"type": "integer"}, nothing]},
        "field": text,
        "placed": {"anyOf": [text, nothing]},
        "signature_algorithm": text,
        "digest_algorithm": text,
        "document_digest": text | {"description": "Of what the signature covers: what a whole CMS is made over."},
        "to_be_signed": base64
        | {"description": "The signed attributes in DER: the octets that the signer's key signs."},
        "hash": text | {"description": "The digest of `to_be_signed`."},
        "room": {"type": "integer"},
        "claimed_time": time,
        "expires_at": time,
        "failure": {"anyOf": [text, nothing]},
        "links": {
            "type": "object",
            "additionalProperties": False,
            "required": ["self", "finish", "document"],
            "properties": {"self": text, "finish": text, "document": text},
        },
    }
    prepared: Schema = {
        "type": "object", "additionalProperties": False, "required": list(properties), "properties": properties,
    }  # fmt: skip
    finishing: Schema = {
        "type": "object",
        "additionalProperties": False,
        "description": "Neither `signature` nor `cms`: the key of the credential signs.",
        "not": {"required": ["signature", "cms"]},
        "properties": {
            "signature": base64
            | {"description": "The value over `to_be_signed`; ECDSA as DER or as r and s side by side."},
            "cms": base64 | {"description": "A whole detached CMS in DER."},
            "activation": text
            | {
                "description": "The consent to sign with, where the credential asks for one, instead of the one it was prepared with."
            },
            "password": text
            | {
                "maxLength": 127,
                "description": "What opens the file, where it is encrypted: it is kept nowhere, so it comes again.",
            },
        },
    }
    return {"PreparedDocument": prepared, "FinishRequest": finishing}
