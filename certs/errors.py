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


class UidUnknown(NameRefused):
    """A UID that does not begin with a kind of number we know. Facts: uid (may be empty), nearest (may be empty), valid."""

    code = "NAME_UID_UNKNOWN"


class UidMalformed(NameRefused):
    """The number of a UID has not the form of its kind. Facts: uid (the kind), form (an example)."""

    code = "NAME_UID_MALFORMED"


class TaxCodeWrong(NameRefused):
    """The check digit of a tax code is not that of its digits. Facts: form."""

    code = "NAME_TAX_CODE_WRONG"


class IdentifierMalformed(NameRefused):
    """An identifier of EN 319 412-1 5.1.3 or 5.1.4 is not written as it says. Facts: attribute, form."""

    code = "NAME_IDENTIFIER_MALFORMED"


class IdentifiersDisagree(NameRefused):
    """A UID and an identifier of EN 319 412-1 name different numbers. Facts: first, second (attributes)."""

    code = "NAME_IDENTIFIERS_DISAGREE"


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


class EmailInSubject(SubjectAttributeRefused):
    """An e-mail address belongs into subjectAltName (RFC 5280 4.1.2.6). Facts: profile, attribute, allowed."""

    code = "SUBJECT_EMAIL_REFUSED"


class UidRefused(ProfileRefused):
    """The profile does not allow this kind of UID. Facts: profile, uid, allowed."""

    code = "SUBJECT_UID_REFUSED"


class RegistrationIncomplete(ProfileRefused):
    """What a registration for real use needs besides. Facts: profile, missing (attributes), write (an example)."""

    code = "REGISTRATION_INCOMPLETE"


class KeySpecRefused(ProfileRefused):
    """The profile does not allow this kind of key. Facts: profile, spec, allowed."""

    code = "KEY_SPEC_REFUSED"


class ValidityRefused(ProfileRefused):
    """The wanted validity is empty, or longer than the profile's. Facts: profile, limit_days."""

    code = "VALIDITY_REFUSED"


class SanRefused(ProfileRefused):
    """The profile allows no subjectAltName, or not this one. Facts: profile, value."""

    code = "SAN_REFUSED"


class CommonNameNotInSan(ProfileRefused):
    """The common name of a server is none of its names in subjectAltName. Facts: profile, value."""

    code = "COMMON_NAME_NOT_IN_SAN"


class CsrMalformed(CertsError):
    """The request is not PKCS#10 in DER or PEM, or is too large. Facts: limit (octets)."""

    code = "CSR_MALFORMED"


class CsrProofWrong(CertsError):
    """The request is not signed by the key it contains."""

    code = "CSR_PROOF_WRONG"


class KeyWeak(CertsError):
    """The public key is too weak or of a kind Antin does not certify. Facts: kind, problem (a word), allowed."""

    code = "KEY_WEAK"


class KeyBroken(KeyWeak):
    """Anybody can find the private key. Facts: kind, problem (a word), allowed."""

    code = "KEY_BROKEN"


class KeySharesPrime(KeyBroken):
    """Another key in the inventory has a prime in common with this one: both are broken. Facts: kind, key_id (the other's)."""

    code = "KEY_SHARES_PRIME"


class KeyInUse(CertsError):
    """The key is certified for another holder or purpose. Facts: serial (of that certificate), profile."""

    code = "KEY_IN_USE"


class KeyCompromised(CertsError):
    """A certificate for the key was revoked because it is compromised, or is suspended. Facts: serial, reason."""

    code = "KEY_COMPROMISED"


class LintFailed(CertsError):
    """The twin of a certificate breaks a rule, so it is not issued. Facts: rules (comma-separated), detail."""

    code = "LINT_FAILED"


class LintUnavailable(CertsError):
    """The second opinion could not be had, so what needs it is not issued. Facts: reason (a word)."""

    code = "LINT_UNAVAILABLE"


class DatabaseUnavailable(CertsError):
    """The database cannot be used now. Facts: reason (locked, unopenable, full, readonly, damaged, no-schema, away)."""

    code = "DATABASE_UNAVAILABLE"


class CertificateNotFound(CertsError):
    """No certificate of that serial or fingerprint. Facts: serial."""

    code = "CERTIFICATE_NOT_FOUND"
