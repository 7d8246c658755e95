"""Object identifiers that Antin writes and `cryptography` has no name for, and the short names of subject attributes."""

from __future__ import annotations

from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# The policy of time-stamp tokens over checkpoints of our audit trail, made from a UUID (ITU-T X.667). No request gets a token under it.
AUDIT_CHECKPOINT_POLICY = "2.25.56208379848383706122889663045750080176"

# The policy of certificates that only serve to practise; it is in all of a training chain. Like the one above, but for its random bits
# being in five arcs: one of 128 bits is more than linters of certificates read.
TRAINING_POLICY = "2.25.14152086.11105496.4209044.2926130.16110366"
# What a trust store is as content of a CMS file, made from a UUID as well; and the purpose of certificates that sign such lists:
# id-tsl-kp-tslSigning (ETSI TS 119 612 5.7.1).
TRUST_STORE_CONTENT = "2.25.234730728928956898269319628527611044104"
TRUST_STORE_SIGNING = "0.4.0.2231.3.0"

# X.520 6.2.11, used by EN 319 412-3 4.2.1 for the registration number of a legal person.
ORGANIZATION_IDENTIFIER = ObjectIdentifier("2.5.4.97")

# RFC 4514 section 3 and RFC 4519 give the short names; SN is surname there and serialNumber has its full name only.
SUBJECT_ATTRIBUTES: dict[str, ObjectIdentifier] = {
    "CN": NameOID.COMMON_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "C": NameOID.COUNTRY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "L": NameOID.LOCALITY_NAME,
    "T": NameOID.TITLE,
    "UID": NameOID.USER_ID,
    "SN": NameOID.SURNAME,
    "GN": NameOID.GIVEN_NAME,
    "pseudonym": NameOID.PSEUDONYM,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "emailAddress": NameOID.EMAIL_ADDRESS,
    "organizationIdentifier": ORGANIZATION_IDENTIFIER,
}

# Spellings that other tools print for the same attributes.
ATTRIBUTE_ALIASES: dict[str, str] = {
    "title": "T",
    "surname": "SN",
    "givenName": "GN",
    "E": "emailAddress",
    "S": "ST",
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "userId": "UID",
}

# What a relying party may see in names made by others; for display only.
DISPLAY_NAMES: dict[ObjectIdentifier, str] = {oid: short for short, oid in SUBJECT_ATTRIBUTES.items()} | {
    NameOID.STREET_ADDRESS: "STREET",
    NameOID.DOMAIN_COMPONENT: "DC",
}

# Names of RFC 5280 4.2.1.12, and id-kp-documentSigning of RFC 9336. A profile may also give a dotted OID.
EXTENDED_KEY_USAGES: dict[str, ObjectIdentifier] = {
    "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH,
    "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "emailProtection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timeStamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "OCSPSigning": ExtendedKeyUsageOID.OCSP_SIGNING,
    "documentSigning": ObjectIdentifier("1.3.6.1.5.5.7.3.36"),
}
