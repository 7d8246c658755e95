"""A webhook: posts one signed JSON body to one address and says what went wrong. What is posted, and when again, is for others."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ssl
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

SIGNATURE = "Antin-Signature"


@dataclass(frozen=True)
class Webhook:
    """Where to post, with which secret, and how many seconds the receiver may take for a step of its answer."""

    url: str
    secret: bytes
    seconds: float


def sign_body(secret: bytes, body: bytes, moment: datetime) -> str:
    """The header that proves who sent the body and when: HMAC-SHA-256 over the time in seconds, a dot, and the body.

    The time is signed too, so that a receiver can refuse what somebody plays to him once more later.
    """
    time = str(int(moment.timestamp()))
    return f"t={time},v1={hmac.new(secret, time.encode() + b'.' + body, hashlib.sha256).hexdigest()}"


def post(webhook: Webhook, body: bytes, moment: datetime) -> str:
    """Post once. Empty when the receiver has taken it (2xx), else what went wrong in a few words.

    A redirect is not followed, whatever it points at: a receiver that moves is told so in the settings.
    """
    parts = urlsplit(webhook.url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            host, parts.port, timeout=webhook.seconds, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=webhook.seconds)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "antin",
        "Connection": "close",
        SIGNATURE: sign_body(webhook.secret, body, moment),
    }
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", path, body, headers)
        with connection.getresponse() as answer:
            status = answer.status
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Kind and cause, never a text that somebody else made.
        return getattr(error, "strerror", None) or type(error).__name__
    finally:
        connection.close()
    return "" if 200 <= status < 300 else f"HTTP {status}"
