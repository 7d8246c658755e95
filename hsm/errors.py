"""The errors of the key store: one tree, each with a stable reason code and, where there is one, the CK_RV's name."""

from __future__ import annotations


class HSMError(Exception):
    """A key operation failed. `code` is stable; `rv` is the CK_RV's name (PKCS#11 v3, section 5.1) or None.

    The message is for engineers and never holds a PIN; words for people stand in the locale catalogues under `code`.
    """

    code = "HSM_ERROR"

    def __init__(self, message: str, *, rv: str | None = None, **facts: str) -> None:
        super().__init__(message)
        self.rv = rv
        self.facts: dict[str, str] = facts


class ModuleMissing(HSMError):
    """The PKCS#11 module cannot be loaded. Facts: module."""

    code = "HSM_MODULE_MISSING"


class TokenMissing(HSMError):
    """The module has no token of the wanted label. Facts: token, module."""

    code = "HSM_TOKEN_MISSING"


class TokenAmbiguous(HSMError):
    """Several tokens of the module carry the wanted label. Facts: token, module."""

    code = "HSM_TOKEN_AMBIGUOUS"


class TokenExists(HSMError):
    """A token of this label is there already and is not overwritten. Facts: token, module."""

    code = "HSM_TOKEN_EXISTS"


class TokenFailed(HSMError):
    """The token or its module failed in a way of its own; `reason` is the CK_RV. Facts: token, module, operation, reason."""

    code = "HSM_TOKEN_FAILED"


class PinMissing(HSMError):
    """The file that should hold the PIN cannot be read. Facts: pin_file."""

    code = "HSM_PIN_MISSING"


class PinWrong(HSMError):
    """The token refused the PIN. Never retried: a real token locks itself after a few tries.

    Facts: token, pin_file.
    """

    code = "HSM_PIN_WRONG"


class PinLocked(HSMError):
    """The token has locked its PIN. Facts: token, pin_file."""

    code = "HSM_PIN_LOCKED"


class KeyNotFound(HSMError):
    """No private key on the token belongs to this public key. Facts: key_id."""

    code = "HSM_KEY_NOT_FOUND"


class KeyDestroyed(KeyNotFound):
    """The key was destroyed; its tombstone, the public half, is still on the token. Facts: key_id, label."""

    code = "HSM_KEY_DESTROYED"


class KeyPurposeWrong(HSMError):
    """The key is not for what it was asked to sign. Facts: key_id, purpose (or "none"), content."""

    code = "HSM_KEY_PURPOSE_WRONG"


class KeyPurposeSet(HSMError):
    """The key has a purpose already, and it is not changed. Facts: key_id, purpose."""

    code = "HSM_KEY_PURPOSE_SET"


class KeyNotProtected(HSMError):
    """A key may leave the token or was not made in it. Facts: key_id, attribute."""

    code = "HSM_KEY_NOT_PROTECTED"


class MechanismUnavailable(HSMError):
    """The token lacks the mechanism that was asked for. Facts: mechanism."""

    code = "HSM_MECHANISM_UNAVAILABLE"


class SessionUnavailable(HSMError):
    """No session came free in time, or the token gives no more. Facts: limit."""

    code = "HSM_SESSION_UNAVAILABLE"


class SigningFailed(HSMError):
    """The token did not sign, or what it returned does not verify with the public key. `rv` may say more.

    No facts; a signature that does not verify adds `in_a_row`, the number of such without a good one between.
    """

    code = "HSM_SIGNING_FAILED"


class TokenAway(HSMError):
    """The token or its key process does not answer just now and is being brought back. Facts: retry_after (whole seconds), reason."""

    code = "HSM_TOKEN_AWAY"


class KeyProcessFailed(HSMError):
    """The key process could not be started, or broke the connection in the middle of an act that must not be repeated. Facts: reason."""

    code = "HSM_KEY_PROCESS_FAILED"


class MessageRefused(HSMError):
    """The key process does not understand the message, or it is larger than allowed. Facts: reason."""

    code = "HSM_MESSAGE_REFUSED"


class StoreClosed(HSMError):
    """The key store was closed and is used again. No facts: a defect of the caller."""

    code = "HSM_STORE_CLOSED"
