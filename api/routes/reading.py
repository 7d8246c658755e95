"""What routes read out of a request besides forms: a JSON body, and the key that makes a repetition the same request."""

from __future__ import annotations

import json

from starlette.requests import Request

from api.auth.idempotency import LONGEST_KEY
from api.errors import RequestError


def idempotency_key(request: Request) -> str | None:
    """The Idempotency-Key, where one is sent; RequestError for one that is none."""
    values = request.headers.getlist("idempotency-key")
    if not values:
        return None
    if (
        len(values) > 1
        or not 1 <= len(values[0]) <= LONGEST_KEY
        or not (values[0].isascii() and values[0].isprintable())
    ):
        raise RequestError("IDEMPOTENCY_KEY_WRONG", limit=str(LONGEST_KEY))
    return values[0]


async def read_json(request: Request) -> object:
    """The body as JSON, whatever it says; RequestError for another media type or for what is none."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "application/json":
        raise RequestError("MEDIA_TYPE_WRONG", wanted="application/json")
    try:
        value: object = json.loads((await request.body()).decode("utf-8"))
    except (ValueError, RecursionError):
        raise RequestError("BODY_NOT_JSON") from None
    return value
