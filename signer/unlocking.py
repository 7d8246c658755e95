"""Opening an encrypted PDF with the password that was given, and what its permissions then allow (ISO 32000-2 7.6.4).

Runs in the judge process. A password is tried and nothing else: what a file forbids its user stays forbidden.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pyhanko.pdf_utils.crypt import AuthStatus, StandardSecurityHandler
from pyhanko.pdf_utils.crypt.permissions import StandardPermissions
from pyhanko.pdf_utils.crypt.standard import StandardSecuritySettingsRevision
from pyhanko.pdf_utils.reader import PdfFileReader

from signer.errors import Refused
from signer.password import MOST_OCTETS, Password


@dataclass(frozen=True)
class Rights:
    """What may be added to a file: a value in a field that it has (a signature too), a new field."""

    fill: bool = True
    new_field: bool = True


ALL_RIGHTS = Rights()
_REVISION_5 = 5


def unlock(reader: PdfFileReader, password: Password) -> Rights:
    """Open the file for reading; Refused when it cannot be. A file that is not encrypted allows everything."""
    handler = reader.security_handler
    if handler is None:
        return ALL_RIGHTS
    if not isinstance(handler, StandardSecurityHandler):
        raise Refused("INPUT_ENCRYPTION_UNKNOWN")  # for the certificates of its readers
    for spelling in password.spellings():
        try:
            status = _try(reader, handler, spelling)
        except UnicodeError:
            continue  # a letter that the file's way of encryption has no octet for
        if status != AuthStatus.FAILED:
            return ALL_RIGHTS if status == AuthStatus.OWNER else _rights_of_user(handler)
    raise Refused("INPUT_PASSWORD_WRONG" if password else "INPUT_ENCRYPTED")


def unlock_for_writing(reader: PdfFileReader, password: Password) -> Rights:
    """The same for who appends; also Refused when a MAC covers the whole file, which more octets would break (ISO/TS 32004)."""
    rights = unlock(reader, password)
    if reader.security_handler is not None and reader.security_handler.pdf_mac_enabled:
        raise Refused("INPUT_ENCRYPTION_UNKNOWN")
    return rights


def _try(reader: PdfFileReader, handler: StandardSecurityHandler, spelling: str | bytes) -> AuthStatus:
    dictionary = reader.encrypt_dict
    if dictionary is not None and dictionary.get("/R") == _REVISION_5:
        octets = spelling.encode("utf-8") if isinstance(spelling, str) else spelling
        return _open_revision_5(handler, octets[:MOST_OCTETS])
    status: AuthStatus = reader.decrypt(spelling).status
    return status


def _open_revision_5(handler: StandardSecurityHandler, password: bytes) -> AuthStatus:
    """The way of Acrobat 9, which the library does not know: one SHA-256 where revision 6 has its algorithm 2.B.

    Adobe Supplement to ISO 32000, ExtensionLevel 3, 3.5.2: 32 octets of hash, 8 to try a password with, 8 for its key.
    """
    user = handler.udata[:48]
    for status, entry, sealed, suffix in (
        (AuthStatus.OWNER, handler.odata[:48], handler.oeseed, user),
        (AuthStatus.USER, user, handler.ueseed, b""),
    ):
        tried = hashlib.sha256(password + entry[32:40] + suffix).digest()
        if sealed is None or len(entry) != 48 or not hmac.compare_digest(tried, entry[:32]):
            continue
        key = hashlib.sha256(password + entry[40:48] + suffix).digest()
        decryptor = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).decryptor()
        handler._shared_key = decryptor.update(sealed[:32]) + decryptor.finalize()  # noqa: SLF001  no other way in
        return status
    return AuthStatus.FAILED


def refuse_unless_allowed(rights: Rights, *, new_field: bool) -> None:
    """Refused when the password opens the file for reading only, or for its present fields only."""
    if new_field and not rights.new_field:
        raise Refused("INPUT_PERMISSION_FIELD" if rights.fill else "INPUT_PERMISSION_SIGN")
    if not rights.fill:
        raise Refused("INPUT_PERMISSION_SIGN")


def _rights_of_user(handler: StandardSecurityHandler) -> Rights:
    """ISO 32000-2 table 22: bit 6 fills, bit 9 too from revision 3 on, bits 4 and 6 together make fields."""
    allowed = handler.perms
    annotate = StandardPermissions.ALLOW_ANNOTS_FORM_FILLING in allowed
    modify = StandardPermissions.ALLOW_MODIFICATION_GENERIC in allowed
    later = handler.revision > StandardSecuritySettingsRevision.RC4_BASIC
    fill = annotate or (later and StandardPermissions.ALLOW_FORM_FILLING in allowed)
    return Rights(fill=fill, new_field=annotate and modify)
