"""The part of the OpenAPI document that is about a certificate's beginning, life and past; how parts are put together is openapi.py's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from api.openapi_schemas import Schema, ref

_TOKEN: list[Schema] = [{"token": []}]
_OPEN: list[Schema] = [{}, {"token": []}]
_NOT_JSON = {415: "The Content-Type is not application/json."}
AT: Schema = {
    "name": "at",
    "in": "query",
    "required": False,
    "description": "A time that is over, in RFC 3339 with a zone: the answer is what was true then (CertificatePast).",
    "schema": {"type": "string"},
}


@dataclass(frozen=True)
class Parts:
    """How openapi.py writes an answer, a binary answer, refusals and an example."""

    json: Callable[[str, str, str], Schema]
    binary: Callable[..., Schema]
    problems: Callable[..., Schema]
    curl: Callable[[str], list[Schema]]
    serial: Schema
    token_sent: dict[int, str]


def issuing_paths(parts: Parts, idempotency_key: Schema) -> Schema:
    """How a certificate begins."""
    issued = parts.json("Issued.", "Certificate", "issueCertificate")
    issued["headers"] = {"Location": {"description": "The certificate.", "schema": {"type": "string"}}}
    return {
        "/api/v1/certificates": {
            "post": {
                "operationId": "issueCertificate",
                "tags": ["certificates"],
                "summary": "Issue a certificate",
                "description": "Scope `ra`. From the request (PKCS#10) come public key and proof; everything else is what is said here, or "
                "what a confirmed registration says. With `evidence` a registration is stored and confirmed with it. Where another "
                "person has to agree: 409 `APPROVAL_WAITING`; repeat the request once it is approved.",
                "security": _TOKEN,
                "parameters": [idempotency_key],
                "requestBody": {"required": True, "content": {"application/json": {"schema": ref("IssueRequest")}}},
                "responses": {"201": issued}
                | parts.problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503, said=_NOT_JSON),
                "x-codeSamples": parts.curl(
                    "-H 'Authorization: Bearer TOKEN' -H 'Content-Type: application/json' "
                    "-d @request.json $BASE/api/v1/certificates"
                ),
            }
        }
    }


def life_paths(parts: Parts) -> Schema:
    """What is done with a certificate, and the OCSP answer of a time."""
    base = "/api/v1/certificates/{serial}"
    again = "What is so already is answered the same way; what contradicts it is 409."
    return {
        f"{base}/revoke": _deed(
            parts, "revokeCertificate", "Revoke a certificate",
            f"Scope `ra`. For good. {again} CRLs and OCSP say it within seconds. A compromise that became known after a revocation for "
            "another reason raises the reason; the date stays.",
            "RevokeRequest", '{"reason": "keyCompromise", "since": "2026-11-21T09:30:00+07:00"}',
        ),
        f"{base}/suspend": _deed(
            parts, "suspendCertificate", "Suspend a certificate", f"Scope `ra`. Until it is reinstated or revoked. {again}",
            "SuspendRequest", "{}",
        ),
        f"{base}/reinstate": _deed(
            parts, "reinstateCertificate", "End a suspension", f"Scope `ra`. {again}", "EmptyRequest", "{}",
        ),
        f"{base}/renew": _renewal(parts),
        f"{base}/ocsp": {
            "get": {
                "operationId": "getPastOcsp",
                "tags": ["certificates"],
                "summary": "The stored OCSP answer of a time",
                "description": "As it was signed then. Answers that were signed when asked are not kept.",
                "security": _OPEN,
                "parameters": [parts.serial, AT | {"required": True, "description": "RFC 3339 with a zone."}],
                "responses": {"200": parts.binary("The answer, in DER.", "application/ocsp-response")}
                | parts.problems(400, 401, 403, 404, 429, 503, said=parts.token_sent | {400: "No time that is over."}),
            }
        },
    }  # fmt: skip


def _deed(parts: Parts, operation: str, summary: str, description: str, body: str, example: str) -> Schema:
    return {"post": _operation(parts, operation, summary, description, body, example) | {
        "responses": {"200": parts.json("The certificate.", "Certificate", operation)} | _refusals(parts),
    }}  # fmt: skip


def _renewal(parts: Parts) -> Schema:
    description = (
        "Scope `ra`. Same holder and profile; the same key, or the one of `csr`, of which nothing else is taken. In the last third of "
        "its term, once, unless `force` is true. The old one stays as it is. A credential of this home signs with the new one at once."
    )
    made = parts.json("The certificate that follows.", "Certificate", "renewCertificate")
    made["headers"] = {"Location": {"description": "The new certificate.", "schema": {"type": "string"}}}
    operation = _operation(parts, "renewCertificate", "Renew a certificate", description, "RenewRequest", "{}")
    return {"post": operation | {"responses": {"201": made} | _refusals(parts, 422)}}


def _operation(parts: Parts, operation: str, summary: str, description: str, body: str, example: str) -> Schema:
    word = operation.removesuffix("Certificate")
    return {
        "operationId": operation,
        "tags": ["certificates"],
        "summary": summary,
        "description": description,
        "security": _TOKEN,
        "parameters": [parts.serial],
        "requestBody": {
            "required": body == "RevokeRequest",
            "content": {"application/json": {"schema": ref(body)}},
        },
        "x-codeSamples": parts.curl(
            f"-H 'Authorization: Bearer TOKEN' -H 'Content-Type: application/json' -d '{example}' "
            f"$BASE/api/v1/certificates/SERIAL/{word}"
        ),
    }


def _refusals(parts: Parts, *more: int) -> dict[str, Any]:
    return parts.problems(400, 401, 403, 404, 408, 409, 413, 415, *more, 429, 503, said=_NOT_JSON)
