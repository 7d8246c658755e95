"""A signature that is there while its store is still verifying it: whoever verifies it too need not wait for the other."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self


class SignedAhead:
    """`signature` is the token's word alone. Nothing may come of it before `confirm` has returned.

    To be used in a `with` block, whose end lets go of what was not confirmed.
    """

    def __init__(
        self, signature: bytes, confirm: Callable[[], None], abandon: Callable[[], None] | None = None
    ) -> None:
        self.signature = signature
        self._confirm: Callable[[], None] | None = confirm
        self._abandon = abandon

    def confirm(self) -> None:
        """Return when the store has verified the signature; SigningFailed, or another HSMError when nobody says so. Once."""
        confirm, self._confirm = self._confirm, None
        assert confirm is not None, "confirmed twice"
        confirm()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._confirm is not None and self._abandon is not None:
            self._abandon()


def confirmed(signature: bytes) -> SignedAhead:
    """One that its store has verified before it handed it out."""
    return SignedAhead(signature, _nothing)


def _nothing() -> None:
    pass
