"""Why a time-stamp is refused: the failure bits of RFC 3161 2.4.2, and the exception that carries one to the answer."""

from __future__ import annotations

from enum import IntEnum


class Failure(IntEnum):
    """PKIFailureInfo; the value is the number of the bit."""

    BAD_ALG = 0
    BAD_REQUEST = 2
    BAD_DATA_FORMAT = 5
    TIME_NOT_AVAILABLE = 14
    UNACCEPTED_POLICY = 15
    UNACCEPTED_EXTENSION = 16
    ADD_INFO_NOT_AVAILABLE = 17
    SYSTEM_FAILURE = 25


class RequestRefused(Exception):
    """A request that gets no token. Ends in a TimeStampResp and never leaves pki/tsa."""

    def __init__(self, failure: Failure, detail: str) -> None:
        super().__init__(detail)
        self.failure = failure
