"""The library's incremental writer, kept from what nobody asked for: it writes what it is given and describes nothing anew.

As it comes it puts its own name and the system's time into the Info dictionary and writes the XMP packet anew, which loses what it
does not know and can make a PDF/A file a liar about itself (ISO 19005-1 6.7.3).
"""

from __future__ import annotations

from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter


class RevisionWriter(IncrementalPdfFileWriter):
    """Appends a revision. Metadata, and the version of a file that has one worth keeping, stay as their author left them."""

    # The catalog's /Version is raised to this: a PDF/A-1 file is one of PDF 1.4 (ISO 19005-1 6.1.1).
    output_version = (1, 4)

    def _update_meta(self) -> None:
        """Nothing: the revision has no metadata of its own."""
