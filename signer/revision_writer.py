"""The library's incremental writer, kept from what nobody asked for: it writes what it is given and describes nothing anew.

As it comes it puts its own name and the system's time into the Info dictionary and writes the XMP packet anew, which loses what it
does not know and can make a PDF/A file a liar about itself (ISO 19005-1 6.7.3).
"""

from __future__ import annotations

import io

from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.signers.pdf_byterange import PdfByteRangeDigest

from signer.octets import Octets, stream_of


class RevisionWriter(IncrementalPdfFileWriter):
    """Appends a revision. Metadata, and the version of a file that has one worth keeping, stay as their author left them."""

    # The catalog's /Version is raised to this: a PDF/A-1 file is one of PDF 1.4 (ISO 19005-1 6.1.1).
    output_version = (1, 4)

    def __init__(self, pdf: Octets, *, strict: bool) -> None:
        super().__init__(stream_of(pdf), strict=strict)
        self._before = len(pdf)

    def revision(self, signature: PdfByteRangeDigest | None = None) -> tuple[bytes, tuple[int, int] | None]:
        """The octets that are appended, and where the hole of a signature among them is. What was there is neither copied nor hashed."""
        out = _Behind(self._before)
        self.digest_aware_write = signature is not None
        self._prep_dom_for_writing()  # type: ignore[no-untyped-call]  # the library's
        self._write(out, skip_header=True)
        if signature is None:
            return out.getvalue(), None
        start, end = signature.contents.offsets
        signature.byte_range.fill_offsets(out, start, end, out.tell())
        return out.getvalue(), (start, end)

    def _update_meta(self) -> None:
        """Nothing: the revision has no metadata of its own."""


class _Behind(io.BytesIO):
    """What is written behind a file of so many octets; places count from the file's beginning."""

    def __init__(self, before: int) -> None:
        super().__init__()
        self._before = before

    def tell(self) -> int:
        return self._before + super().tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        moved = offset - self._before if whence == io.SEEK_SET else offset
        return self._before + super().seek(moved, whence)
