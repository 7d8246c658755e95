"""The errors of the trust services: one tree, each with a stable reason code and the facts a sentence needs."""

from __future__ import annotations


class PkiError(Exception):
    """A trust service refused or failed. `code` is stable; `facts` fill the sentences of the locale catalogues."""

    code = "PKI_ERROR"

    def __init__(self, message: str, **facts: str) -> None:
        super().__init__(message)
        self.facts: dict[str, str] = facts


class AuthorityUnknown(PkiError):
    """No certificate authority of that name. Facts: authority, valid."""

    code = "AUTHORITY_UNKNOWN"


class AuthorityNameRefused(PkiError):
    """Not [a-z0-9-]{1,32}. Facts: authority."""

    code = "AUTHORITY_NAME_REFUSED"


class AuthorityExists(PkiError):
    """The name is taken by an authority with another parent, subject or kind of key. Facts: authority, subject."""

    code = "AUTHORITY_EXISTS"


class IssuanceRefused(PkiError):
    """A certificate was refused before any key was used."""

    code = "ISSUANCE_REFUSED"


class IssuerMayNotIssue(IssuanceRefused):
    """The profile is not issued by this authority. Facts: profile, authority, issued_by."""

    code = "ISSUER_MAY_NOT_ISSUE"


class IssuerNotGood(IssuanceRefused):
    """The authority is retired, or its own certificate is revoked, suspended or expired. Facts: authority, state."""

    code = "ISSUER_NOT_GOOD"


class SignedOtherBytes(PkiError):
    """What came back is not what was decided, linted and stored. Facts: serial. The intent stays and can be revoked."""

    code = "SIGNED_OTHER_BYTES"


class RevocationRefused(PkiError):
    """The state of a certificate does not allow this change."""

    code = "REVOCATION_REFUSED"


class AlreadyRevoked(RevocationRefused):
    """Facts: serial, revoked_at (RFC 3339), reason."""

    code = "ALREADY_REVOKED"


class AlreadySuspended(RevocationRefused):
    """Facts: serial, revoked_at (RFC 3339)."""

    code = "ALREADY_SUSPENDED"


class NotSuspended(RevocationRefused):
    """Only a suspended certificate can be reinstated. Facts: serial, state."""

    code = "NOT_SUSPENDED"


class RootNotRevocable(RevocationRefused):
    """A root is on nobody's CRL: it is withdrawn by taking it off the trusted list. Facts: serial, authority."""

    code = "ROOT_NOT_REVOCABLE"


class ReasonUnknown(RevocationRefused):
    """Not a reason of RFC 5280 5.3.1 that can be given here. Facts: reason, nearest (may be empty), valid."""

    code = "REVOCATION_REASON_UNKNOWN"


class SinceRefused(RevocationRefused):
    """The time since when a certificate is suspect lies in the future. Facts: since (RFC 3339)."""

    code = "REVOCATION_SINCE_REFUSED"


class CrlMismatch(PkiError):
    """A CRL that was signed does not say what the inventory says; it was not stored. Facts: authority, number, problem."""

    code = "CRL_MISMATCH"


class CrlNotFound(PkiError):
    """The authority has no CRL, or none of this number. Facts: authority, number (may be empty)."""

    code = "CRL_NOT_FOUND"


class CrlRefused(PkiError):
    """A CRL broke a rule of its own kind before it was signed. Facts: authority, number, problem."""

    code = "CRL_REFUSED"


class PartitionsRefused(PkiError):
    """Partitions of a CRL are never taken away, and there are limits. Facts: authority, count, least, most."""

    code = "CRL_PARTITIONS_REFUSED"


class ServiceExists(PkiError):
    """The name is taken by another service, or by one of another authority. Facts: service, kind, authority."""

    code = "SERVICE_EXISTS"


class ServiceNameRefused(PkiError):
    """Not [a-z0-9-]{1,32}. Facts: service."""

    code = "SERVICE_NAME_REFUSED"


class ServiceNotReady(PkiError):
    """No key of this service has a certificate in force. Facts: kind (ocsp or tsa)."""

    code = "SERVICE_NOT_READY"


class TokenWrong(PkiError):
    """A time-stamp token of our own is not what was asked for. Facts: part (structure, imprint, attributes or signature)."""

    code = "TIMESTAMP_TOKEN_WRONG"
