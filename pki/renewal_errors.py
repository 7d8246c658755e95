"""Errors of the renewal of certificates: a branch of the package's tree (errors.py)."""

from __future__ import annotations

from pki.errors import PkiError


class RenewalRefused(PkiError):
    """A certificate is not renewed, or not now."""

    code = "RENEWAL_REFUSED"


class RenewalOfRevoked(RenewalRefused):
    """A revoked certificate is not renewed. Facts: serial, revoked_at (RFC 3339), reason."""

    code = "RENEWAL_OF_REVOKED"


class RenewalOfSuspended(RenewalRefused):
    """A suspended certificate waits for its decision. Facts: serial."""

    code = "RENEWAL_OF_SUSPENDED"


class RenewalTooEarly(RenewalRefused):
    """More than a third of its term is left. Facts: serial, not_after, begins (RFC 3339: from then on)."""

    code = "RENEWAL_TOO_EARLY"


class RenewalTooLate(RenewalRefused):
    """What has ended is followed by a certificate with another key. Facts: serial, not_after (RFC 3339)."""

    code = "RENEWAL_TOO_LATE"


class AlreadyRenewed(RenewalRefused):
    """Another certificate follows this one already. Facts: serial, successor."""

    code = "ALREADY_RENEWED"


class RenewalNotByHand(RenewalRefused):
    """Certificates of authorities and services have ways of their own. Facts: serial, profile."""

    code = "RENEWAL_NOT_BY_HAND"


class RenewalKeyNotNew(RenewalRefused):
    """A re-key was asked with the key that the certificate has. Facts: serial."""

    code = "RENEWAL_KEY_NOT_NEW"
