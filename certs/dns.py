"""Names on the network as they stand in subjectAltName: which text is a host name, which a mail address."""

from __future__ import annotations

import re

# RFC 5280 4.2.1.6 wants the "preferred name syntax" of RFC 1034 3.5 as RFC 1123 2.1 has it: letters, digits, hyphens. A name
# of another script is written in its A-labels (RFC 5890). No wildcard: one key for every host of a domain is one theft for all.
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
# RFC 5321 4.1.2 Dot-string: quoted local parts exist on paper only.
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LONGEST_NAME, _LONGEST_LOCAL_PART = 253, 64


def is_host_name(text: str) -> bool:
    """Whether this can be a dNSName: labels of letters, digits and hyphens; not an address in numbers."""
    labels = text.split(".")
    return (
        len(text) <= _LONGEST_NAME and all(_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdecimal()
    )


def is_mail_address(text: str) -> bool:
    """Whether this can be an rfc822Name: ASCII on both sides of one @."""
    local, _, host = text.rpartition("@")
    return (
        len(local) <= _LONGEST_LOCAL_PART
        and _LOCAL_PART.fullmatch(local) is not None
        and "." in host
        and is_host_name(host)
    )
