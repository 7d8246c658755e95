"""What a setting's value must be like, and the refusal that names the setting."""

from __future__ import annotations

import math
import re
from typing import NoReturn
from urllib.parse import urlsplit

from certs.errors import TableValueWrong

# X.660: the first arc is 0 to 2, the second below 40 under 0 and 1; no leading zeros.
OBJECT_IDENTIFIER = re.compile(r"(?:[01]\.[1-3]?[0-9]|2\.(?:0|[1-9][0-9]{0,38}))(?:\.(?:0|[1-9][0-9]{0,38})){1,20}")


def refuse_value(key: str, expected: str, found: object) -> NoReturn:
    """A value of the right type that cannot be meant, whichever of file and environment it came from."""
    raise TableValueWrong(
        f"{key} should be {expected}", where="the settings", key=key, expected=expected, found=str(found)
    )


def at_least(key: str, value: float, least: float) -> None:
    """Refuse what is less than that, or no number."""
    if not least <= value < math.inf:  # false for "not a number" too
        refuse_value(key, f"{least} or more", value)


def is_web_address(url: str) -> bool:
    """Whether it is an address that somebody may be asked at, with no name or password in it."""
    try:
        parts = urlsplit(url)
        # Asking for the port is what refuses a wrong one.
        named = parts.hostname is not None and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url and "@" not in parts.netloc and not parts.fragment
    return named and plain and parts.scheme in ("http", "https")
