"""The part of the OpenAPI document that is about the register: searching it, and what becomes of a document; the rest is openapi.py's."""

from __future__ import annotations

from api.openapi_life import Parts
from api.openapi_schemas import Schema, ref

_TOKEN: list[Schema] = [{"token": []}]
SUBFILTER = (
    "The form of the signature; default: the setting sign.subfilter. `pkcs7` (adbe.pkcs7.detached) is for viewers that know nothing newer, "
    "and is no PAdES."
)
# What may be asked for; a test holds the names to those of signer/register_search.py.
SEARCH = {
    "number": "The number, with its symbol or without: `7` or `7/QĐ-UBND`.",
    "date_from": "Issued on this day or later, in Vietnam: 2026-11-22 or 22/11/2026. Before issue the day of registration counts.",
    "date_to": "Issued on this day or earlier.",
    "agency": "Words of the agency's name, with Vietnamese marks or without.",
    "code": "The lookup code.",
    "hash": "SHA-256 of a signed file, or its first 8 digits and more.",
    "text": "Words of the subject, the metadata or the file's name, with Vietnamese marks or without.",
    "status": "in-force, recalled, replaced or corrected.",
    "limit": "How many at the most: 1 to 999, else 100.",
    "after": "The code of the last document of the page before; `next` of the answer has it.",
}


def search_operation(parts: Parts) -> Schema:
    """GET /api/v1/documents."""
    asked = [
        {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in SEARCH.items()
    ]
    return {
        "operationId": "searchDocuments",
        "tags": ["documents"],
        "summary": "Search the register",
        "description": "Scope `sign` or `audit`. Documents for which all that is asked for is so, newest first. `next` is the address of "
        "those that follow, or null.",
        "security": _TOKEN,
        "parameters": asked,
        "responses": {"200": parts.json("The documents.", "DocumentList", "searchDocuments")}
        | parts.problems(400, 401, 403, 404, 429, 503, said={404: "No document has the code of `code` or `after`."}),
        "x-codeSamples": parts.curl("-H 'Authorization: Bearer TOKEN' '$BASE/api/v1/documents?text=tuyen+dung'"),
    }


def status_paths(parts: Parts) -> Schema:
    """Upgrade, recall, replace, correct. `parts.serial` is the parameter of the path: here the code."""
    return {
        "/api/v1/documents/{code}/upgrade": _change(
            parts, "upgrade", "Raise a document to a higher level",
            "Scope `sign`. What is missing is appended to the newest file, which stays whole: time-stamps, certificates, OCSP answers, "
            "CRLs. 409 when the level is there already, or the document is out of force.",
            "UpgradeRequest", '{"level": "B-LTA"}',
        ),
        "/api/v1/documents/{code}/print": _print(parts),
        "/api/v1/documents/{code}/recall": _change(
            parts, "recall", "Recall a document",
            "Scope `sign`. The signature stays as good as it was; the document is out of force, at once.",
            "RecallRequest", '{"reason": "Sai thẩm quyền"}',
        ),
        "/api/v1/documents/{code}/replace": _change(
            parts, "replace", "Replace a document by another",
            "Scope `sign`. The other document is in the register, signed and in force, and issued if this one is. This one is out of "
            "force, at once; `holds_now` names the one that holds.",
            "SuccessionRequest", '{"by": "CODE2", "reason": "Sai nội dung"}',
        ),
        "/api/v1/documents/{code}/correct": _change(
            parts, "correct", "Name the document that corrects this one",
            "Scope `sign`. Both are in force and are read together.",
            "SuccessionRequest", '{"by": "CODE2", "reason": "Sai thể thức"}',
        ),
    }  # fmt: skip


def _print(parts: Parts) -> Schema:
    return {
        "post": {
            "operationId": "printDocument",
            "tags": ["documents"],
            "summary": "The rendition for paper",
            "description": "Scope `print` (a kiosk, a counter) or `sign`. A new PDF, unsigned: the pages as they look, and under each the "
            "QR, the code, the address, the system and its owner, and who printed it (whose token it is), where and when. Only what is "
            "valid and in force is printed (409, 422); every print is audited.",
            "security": _TOKEN,
            "parameters": [parts.serial],
            "requestBody": {"required": True, "content": {"application/json": {"schema": ref("PrintRequest")}}},
            "responses": {"200": parts.binary("The rendition.", "application/pdf")}
            | parts.problems(
                400,
                401,
                403,
                404,
                408,
                409,
                413,
                415,
                422,
                429,
                503,
                said={415: "The Content-Type is not application/json."},
            ),
            "x-codeSamples": parts.curl(
                "-H 'Authorization: Bearer TOKEN' -H 'Content-Type: application/json' "
                '-d \'{"place": "Bộ phận Một cửa"}\' $BASE/api/v1/documents/CODE/print -o print.pdf'
            ),
        }
    }


def _change(parts: Parts, verb: str, summary: str, description: str, body: str, sample: str) -> Schema:
    operation = f"{verb}Document"
    refusals = parts.problems(
        400, 401, 403, 404, 408, 409, 413, 415, 429, 503, said={415: "The Content-Type is not application/json."}
    )
    return {
        "post": {
            "operationId": operation,
            "tags": ["documents"],
            "summary": summary,
            "description": description,
            "security": _TOKEN,
            "parameters": [parts.serial],
            "requestBody": {"required": True, "content": {"application/json": {"schema": ref(body)}}},
            "responses": {"200": parts.json("Done; the document as it is now.", "DocumentRecord", operation)}
            | refusals,
            "x-codeSamples": parts.curl(
                "-H 'Authorization: Bearer TOKEN' -H 'Content-Type: application/json' "
                f"-d '{sample}' $BASE/api/v1/documents/CODE/{verb}"
            ),
        }
    }
