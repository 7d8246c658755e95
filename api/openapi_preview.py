"""The part of the OpenAPI document that is about previews; the rest is openapi.py's."""

from __future__ import annotations

from api.openapi_life import Parts
from api.openapi_schemas import Schema


def preview_paths(parts: Parts, signing: Schema) -> Schema:
    """`signing` is the form of a signature, whose fields are the same."""
    own = signing["properties"]
    form: Schema = signing | {
        "properties": own
        | {
            "page": {
                "type": "integer",
                "minimum": -1000000,
                "maximum": 1000000,
                "description": "From 1, or from -1 at the end. Default: the page with the stamp.",
            },
            "dpi": {"type": "integer", "minimum": 50, "maximum": 300, "description": "How fine. Default: 110."},
        }
    }
    said = {415: "Not multipart/form-data, or the file is not a PDF."}
    picture = parts.binary("The page.", "image/png")
    picture["headers"] = {
        "Antin-Page": {"description": "The page's number.", "schema": {"type": "integer"}},
        "Antin-Pages": {"description": "How many there are.", "schema": {"type": "integer"}},
        "Antin-Placed": {
            "description": "How the place was found; absent when the signature shows nothing.",
            "schema": {"type": "string"},
        },
        "Antin-Number": {
            "description": "The number that is shown: the next one, which nobody keeps.",
            "schema": {"type": "integer"},
        },
    }
    return {
        "/api/v1/preview": {
            "post": {
                "operationId": "preview",
                "tags": ["documents"],
                "summary": "A page as it will look when it is signed",
                "description": "Scope `sign`. Refused with the reason with which the signature would be. No key is used, no number given, "
                "nothing stored.",
                "security": [{"token": []}],
                "requestBody": {
                    "required": True,
                    "content": {
                        "multipart/form-data": {
                            "schema": form,
                            "encoding": {"file": {"contentType": "application/pdf"}},
                        }
                    },
                },
                "responses": {"200": picture}
                | parts.problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503, said=said),
                "x-codeSamples": parts.curl(
                    "-H 'Authorization: Bearer TOKEN' -F file=@letter.pdf -F credential=officer $BASE/api/v1/preview -o page.png"
                ),
            }
        }
    }
