"""Protocols that send one DER structure in a body: reading it within its limit."""

from __future__ import annotations

from starlette.requests import Request

from api.errors import RequestError


async def read_structure(request: Request, media_type: str, limit: int) -> bytes:
    """The body of a request of a media type; one octet more than the limit says that it was too long."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != media_type:
        raise RequestError("MEDIA_TYPE_WRONG", wanted=media_type)
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            return bytes(body[: limit + 1])
    return bytes(body)
