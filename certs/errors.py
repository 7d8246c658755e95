"""The errors of the certificate room: one tree, each with a stable reason code and the facts a sentence needs."""

from __future__ import annotations


class CertsError(Exception):
    """Something about names, profiles, requests or the inventory was refused or is away.

    `code` is stable; `facts` fill the sentences of the locale catalogues. The message itself is for engineers.
    """

    code = "CERTS_ERROR"

    def __init__(self, message: str, **facts: str) -> None:
        super().__init__(message)
        self.facts: dict[str, str] = facts


class TableError(CertsError):
    """A TOML table does not fit what reads it."""

    code = "TABLE_ERROR"


class TableUnreadable(TableError):
    """The file is not TOML at all, or cannot be read. Facts: where, problem."""

    code = "TABLE_UNREADABLE"


class TableKeyUnknown(TableError):
    """A key that nothing reads. Facts: where, key, nearest (empty when no valid key is near), valid."""

    code = "TABLE_KEY_UNKNOWN"


class TableKeyMissing(TableError):
    """A key that has no default is absent. Facts: where, key."""

    code = "TABLE_KEY_MISSING"


class TableValueWrong(TableError):
    """A value of the wrong type, or outside what is allowed. Facts: where, key, expected, found."""

    code = "TABLE_VALUE_WRONG"


class NameRefused(CertsError):
    """A subject name cannot go into a certificate."""

    code = "NAME_REFUSED"


class NameMalformed(NameRefused):
    """The text is not an RFC 4514 string. Facts: name, position (first character is 1)."""

    code = "NAME_MALFORMED"


class NameAttributeUnknown(NameRefused):
    """An attribute type that Antin does not write. Facts: attribute, nearest (may be empty), valid."""

    code = "NAME_ATTRIBUTE_UNKNOWN"


class NameAttributeRepeated(NameRefused):
    """A second value for an attribute that may stand once, or the same value twice. Facts: attribute."""

    code = "NAME_ATTRIBUTE_REPEATED"


class NameMultivalued(NameRefused):
    """Two attributes joined by a plus sign. Facts: name, position."""

    code = "NAME_MULTIVALUED"


class NameTooLong(NameRefused):
    """More characters than X.520 allows. Facts: attribute, length, limit."""

    code = "NAME_TOO_LONG"


class NameCharacterRefused(NameRefused):
    """A control, direction, invisible or otherwise unfit character. Facts: attribute, character (like U+202E)."""

    code = "NAME_CHARACTER_REFUSED"


class NameCountryWrong(NameRefused):
    """The country is not two letters of ISO 3166. Facts: value."""

    code = "NAME_COUNTRY_WRONG"


class NameEmpty(NameRefused):
    """The name, or a value in it, is empty. Facts: attribute (empty when the whole name is)."""

    code = "NAME_EMPTY"


class ProfileUnknown(CertsError):
    """No profile of that name. Facts: profile, nearest (may be empty), valid."""

    code = "PROFILE_UNKNOWN"


class ProfileInvalid(CertsError):
    """A profile contradicts itself or the standard. Facts: profile, problem."""

    code = "PROFILE_INVALID"


class ProfileRefused(CertsError):
    """The request does not fit its profile."""

    code = "PROFILE_REFUSED"


class SubjectAttributeMissing(ProfileRefused):
    """The profile requires an attribute that the subject lacks. Facts: profile, attribute."""

    code = "SUBJECT_ATTRIBUTE_MISSING"


class SubjectAttributeRefused(ProfileRefused):
    """The profile does not allow an attribute of the subject. Facts: profile, attribute, allowed."""

    code = "SUBJECT_ATTRIBUTE_REFUSED"


class KeySpecRefused(ProfileRefused):
    """The profile does not allow this kind of key. Facts: profile, spec, allowed."""

    code = "KEY_SPEC_REFUSED"


class ValidityRefused(ProfileRefused):
    """The wanted validity is empty, or longer than the profile's. Facts: profile, limit_days."""

    code = "VALIDITY_REFUSED"


class SanRefused(ProfileRefused):
    """The profile allows no subjectAltName, or not this one. Facts: profile, value."""

    code = "SAN_REFUSED"


class CsrMalformed(CertsError):
    """The request is not PKCS#10 in DER or PEM, or is too large. Facts: limit (octets)."""

    code = "CSR_MALFORMED"


class CsrProofWrong(CertsError):
    """The request is not signed by the key it contains."""

    code = "CSR_PROOF_WRONG"


class KeyWeak(CertsError):
    """The public key is too weak or of a kind Antin does not certify. Facts: kind, problem (a word), allowed."""

    code = "KEY_WEAK"


class LintFailed(CertsError):
    """The twin of a certificate breaks a rule, so it is not issued. Facts: rules (comma-separated), detail."""

    code = "LINT_FAILED"


class DatabaseUnavailable(CertsError):
    """The database cannot be used now. Facts: reason (locked, unopenable, full, readonly, damaged, no-schema, away)."""

    code = "DATABASE_UNAVAILABLE"


class CertificateNotFound(CertsError):
    """No certificate of that serial or fingerprint. Facts: serial."""

    code = "CERTIFICATE_NOT_FOUND"
