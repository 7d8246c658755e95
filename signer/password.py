"""The password of an encrypted file, as a value that shows itself nowhere: not in a repr, an error or a log."""

from __future__ import annotations

from dataclasses import dataclass, field

from signer.errors import UsageWrong

# AES-256 takes 127 octets of UTF-8 (ISO 32000-2 7.6.4.3.2), the older ways less.
MOST_OCTETS = 127


@dataclass(frozen=True)
class Password:
    """What somebody typed to open a file. Empty: nobody gave one, and many encrypted files open so."""

    text: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.text)

    def spellings(self) -> tuple[str | bytes, ...]:
        """What may have been meant, the standard's way first; some writers take UTF-8 where another encoding belongs."""
        if not self.text:
            return ("",)
        octets = self.text.encode("utf-8")
        # Up to AES-128 a password is PDFDocEncoding (ISO 32000-2 7.6.4.3.1), which has few letters of Vietnamese.
        try:
            self.text.encode("latin-1")
        except UnicodeEncodeError:
            return (octets, self.text)
        return (self.text, octets)


NO_PASSWORD = Password()


def parse_password(octets: bytes) -> Password:
    """The password that a file or a form field holds, without the end of its line; UsageWrong PASSWORD_MALFORMED for anything else."""
    line = octets.removesuffix(b"\n").removesuffix(b"\r")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageWrong("PASSWORD_MALFORMED", octets=str(MOST_OCTETS)) from None
    if not text or len(line) > MOST_OCTETS or not text.isprintable():
        raise UsageWrong("PASSWORD_MALFORMED", octets=str(MOST_OCTETS))
    return Password(text)
