"""The errors of the trust services: one tree, each with a stable reason code and the facts a sentence needs."""

from __future__ import annotations

from certs.errors import DatabaseUnavailable


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
    """A time-stamp token of our own is not what was asked for. Facts: part.

    part: structure, policy, imprint, attributes, signature, signer or path.
    """

    code = "TIMESTAMP_TOKEN_WRONG"


class AuditUnavailable(DatabaseUnavailable):
    """The audit trail takes no row, so the act did not happen. A kind of outage: whoever handles those handles this. Facts: detail."""

    code = "AUDIT_UNAVAILABLE"


class AuditExportUnreadable(PkiError):
    """A file is no export of an audit trail, or holds no checkpoint where one is needed. Facts: problem."""

    code = "AUDIT_EXPORT_UNREADABLE"


class AuditExportWrong(PkiError):
    """An export or its checkpoint is not what our time-stamping authority signed. Facts: part, problem."""

    code = "AUDIT_EXPORT_WRONG"


class AuditExportGap(PkiError):
    """Between a restored trail and an export acts are missing. Facts: path, chain, position (the first that is missing)."""

    code = "AUDIT_EXPORT_GAP"


class AuditExportForeign(PkiError):
    """An export is whole, but its acts are not those that a restored trail has. Facts: path, chain, position."""

    code = "AUDIT_EXPORT_FOREIGN"


class RoleMissing(PkiError):
    """The actor may not do this. Facts: actor, permission, roles (those that may)."""

    code = "ROLE_MISSING"


class PersonRefused(PkiError):
    """What is asked about a person cannot be meant."""

    code = "PERSON_REFUSED"


class PersonUnknown(PersonRefused):
    """No person of that name. Facts: person."""

    code = "PERSON_UNKNOWN"


class PersonExists(PersonRefused):
    """The name is taken. Facts: person."""

    code = "PERSON_EXISTS"


class PersonNameRefused(PersonRefused):
    """Not [a-z0-9-]{1,32}. Facts: person."""

    code = "PERSON_NAME_REFUSED"


class PersonDisabled(PkiError):
    """The person may not act at present. Facts: person."""

    code = "PERSON_DISABLED"


class LastAdmin(PkiError):
    """Once there are persons, one of them stays an active admin. Facts: person."""

    code = "LAST_ADMIN"


class AuditorAlone(PkiError):
    """Who audits holds no other role. Facts: person."""

    code = "AUDITOR_ALONE"


class ApprovalError(PkiError):
    """An approval does not allow what is asked."""

    code = "APPROVAL_ERROR"


class ApprovalNeeded(ApprovalError):
    """The deed waits until others approve it. Facts: id, sha256 (its beginning), missing (how many more), until (RFC 3339)."""

    code = "APPROVAL_WAITING"


class ApprovalRejected(ApprovalError):
    """Somebody said no. Facts: id, person, until (RFC 3339; from then on it may be asked anew)."""

    code = "APPROVAL_REJECTED"


class ApprovalStale(ApprovalError):
    """What would be done is not what was asked about or seen. Facts: id."""

    code = "APPROVAL_STALE"


class ApprovalHashWrong(ApprovalStale):
    """The hash that a voter names is not this request's. Facts: id."""

    code = "APPROVAL_HASH_WRONG"


class ApprovalNotOpen(ApprovalError):
    """The request takes no more votes, or its approval was used. Facts: id, state."""

    code = "APPROVAL_NOT_OPEN"


class ApprovalOwn(ApprovalError):
    """Nobody approves a request of his own. Facts: id, person."""

    code = "APPROVAL_OWN"


class ApprovalVoted(ApprovalError):
    """Nobody votes twice. Facts: id, person."""

    code = "APPROVAL_VOTED"


class ApprovalNotByPerson(ApprovalError):
    """Only a person, or who owns the home, votes: not a part of the system, not a token of nobody's. Facts: id, actor."""

    code = "APPROVAL_NOT_BY_PERSON"


class ApprovalUnknown(ApprovalError):
    """No request of that number. Facts: id."""

    code = "APPROVAL_UNKNOWN"


class ApprovalHashTooShort(ApprovalError):
    """Too few digits, or none of a SHA-256, to name what was seen. Facts: typed, least."""

    code = "APPROVAL_HASH_TOO_SHORT"


class ApprovalReasonRefused(ApprovalError):
    """A reason is empty, too long or holds characters that nothing shows. Facts: limit."""

    code = "APPROVAL_REASON_REFUSED"


class RegistrationError(PkiError):
    """A registration does not allow what is asked."""

    code = "REGISTRATION_ERROR"


class RegistrationUnknown(RegistrationError):
    """No registration of that number. Facts: id."""

    code = "REGISTRATION_UNKNOWN"


class RegistrationNeeded(RegistrationError):
    """Certificates of the profile are issued by a confirmed registration only. Facts: profile."""

    code = "REGISTRATION_NEEDED"


class RegistrationNotOpen(RegistrationError):
    """The registration is not in the state for this. Facts: id, state, wanted."""

    code = "REGISTRATION_NOT_OPEN"


class RegistrationUnfinished(RegistrationNotOpen):
    """A certificate was begun by the registration, and nobody knows whether it was signed. Facts: id, state, serial."""

    code = "REGISTRATION_UNFINISHED"


class RegistrationUsed(RegistrationNotOpen):
    """A certificate was issued by the registration, and it makes one. Facts: id, state, serial."""

    code = "REGISTRATION_USED"


class RegistrationStale(RegistrationError):
    """What stands there is not what was confirmed. Facts: id."""

    code = "REGISTRATION_STALE"


class RegistrationMismatch(RegistrationError):
    """The certificate that is asked for is not the one that was registered. Facts: id, field."""

    code = "REGISTRATION_MISMATCH"


class EvidenceMissing(RegistrationError):
    """The profile wants a reference to what the officer has seen. Facts: profile, id (may be empty)."""

    code = "EVIDENCE_MISSING"


class RegistrationTextRefused(RegistrationError):
    """A reference or a reason is empty, too long or holds characters that nothing shows. Facts: field, limit."""

    code = "REGISTRATION_TEXT_REFUSED"


class CertificateEnded(RevocationRefused):
    """What has ended is not suspended any more. Facts: serial, not_after (RFC 3339)."""

    code = "CERTIFICATE_ENDED"


class SinceBeforeKey(RevocationRefused):
    """The time since when a key is suspect lies before its first certificate. Facts: since, first (RFC 3339)."""

    code = "REVOCATION_SINCE_BEFORE_KEY"


class HistoryTimeRefused(PkiError):
    """What will be true at a time to come nobody knows. Facts: at (RFC 3339)."""

    code = "HISTORY_TIME_REFUSED"
