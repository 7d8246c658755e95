"""Training: what marks a chain whose certificates only serve to practise, and how any of its certificates is told from a real one."""

from __future__ import annotations

from certs.oids import TRAINING_POLICY
from hsm import der

# Beside the agency's name in the subjects of the chain's authorities, in the language of whoever may be shown one.
TRAINING_UNIT = "THỰC HÀNH - KHÔNG CÓ GIÁ TRỊ PHÁP LÝ"
# What file names of documents out of it bear.
TRAINING_MARK = "thuc-hanh"

_POLICY = der.oid(TRAINING_POLICY)


def is_training(certificate_der: bytes) -> bool:
    """Whether a certificate bears the policy of training, wherever in it: also one that cannot be parsed is refused for it.

    The object identifier holds 120 random bits, so its octets stand in no certificate by chance.
    """
    return _POLICY in certificate_der


def marked_name(name: str) -> str:
    """The name of a file with what says what is in it."""
    stem, dot, ending = name.rpartition(".")
    return f"{stem}.{TRAINING_MARK}.{ending}" if dot and stem else f"{name}.{TRAINING_MARK}"


def bears_training_name(name: str) -> bool:
    """Whether a file's name says what is in it."""
    return TRAINING_MARK in name.lower()
