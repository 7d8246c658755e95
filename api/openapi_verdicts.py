"""What may be wished for a verdict, in the description of the service: policy, time in question, receipt."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

VERDICT_WISHES: Schema = {
    "policy": {
        "type": "string",
        "maxLength": 64,
        "description": "judge by this policy: `vn-2025`, `eidas`, `basic` or the installation's own; else by the one of its settings",
    },
    "at": {
        "type": "string",
        "maxLength": 64,
        "description": "answer for this past moment (RFC 3339), by what existed and was known then",
    },
}

RECEIPT_PARAMETER: Schema = {
    "name": "receipt",
    "in": "query",
    "description": "answer with the verdict as a signed PDF in this language. `503` `RECEIPT_AWAY` while the key for receipts is away; "
    "the problem then has the verdict as its member `verdict`.",
    "schema": {"type": "string", "enum": ["vi", "en", "ko"]},
}


def wish_parameters() -> list[Schema]:
    """The same wishes in a query."""
    kept = ("type", "maxLength")
    return [
        {
            "name": name,
            "in": "query",
            "description": schema["description"],
            "schema": {key: schema[key] for key in kept},
        }
        for name, schema in VERDICT_WISHES.items()
    ]


def with_receipt(answer: Schema) -> Schema:
    """An answer that may be a receipt instead."""
    return {**answer, "content": {**answer["content"], "application/pdf": {}}}
