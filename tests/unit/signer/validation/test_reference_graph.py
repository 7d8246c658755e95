"""The paths to a replaced object are the library's, found along the graph instead of by walking everything."""

from __future__ import annotations

import io

import pytest
from pyhanko.pdf_utils.generic import Reference
from pyhanko.pdf_utils.reader import PdfFileReader

from signer.password import NO_PASSWORD
from signer.validation.reference_graph import Usages, changed_since
from signer.validation.second_reading import SecondReading
from tests.attacks import documents
from tests.attacks.pki import Pki, build_pki
from tests.attacks.updates import appended, number_of, object_of, size_of


@pytest.fixture(scope="module")
def pki() -> Pki:
    return build_pki()


def stages(pki: Pki) -> list[bytes]:
    """A document with links between its pages and a structure tree, as it is signed, filled in, stamped and extended."""
    plain = documents.page_pdf(pages=4)
    first = number_of(plain, b"/Type /Page", b"/Annots")
    root = number_of(plain, b"/Type /Catalog")
    tree, element, link = size_of(plain), size_of(plain) + 1, size_of(plain) + 2
    page = object_of(plain, first)
    linked = appended(
        plain,
        {
            tree: b"<< /Type /StructTreeRoot /K [%d 0 R] >>" % element,
            element: b"<< /Type /StructElem /S /P /P %d 0 R /Pg %d 0 R /K [<< /Type /OBJR /Obj %d 0 R >>] >>"
            % (tree, first, first),
            link: b"<< /Type /Annot /Subtype /Link /Rect [0 0 9 9] /Dest [%d 0 R /Fit] /P %d 0 R >>" % (first, first),
            first: page.replace(b"/Annots [", b"/Annots [ %d 0 R " % link),
            root: object_of(plain, root)[:-2] + b" /StructTreeRoot %d 0 R >>" % tree,
        },
    )
    signed = documents.sign(linked, pki.officer)
    filled = documents.filled(signed)
    both = documents.sign(filled, pki.seal, "Sig2")
    return [
        both,
        documents.with_validation_data(both, pki.root),
        documents.sign(documents.with_stream_tables(linked), pki.seal),
    ]


def test_the_paths_are_the_library_s(pki: Pki) -> None:
    compared = 0
    for pdf in stages(pki):
        reader = PdfFileReader(io.BytesIO(pdf))
        second = SecondReading(pdf, reader, NO_PASSWORD)
        assert second.agrees
        for revision in range(reader.xrefs.total_revisions - 1):
            graph = second.graph(pdf, reader, revision)
            assert graph is not None
            library = reader.get_historical_resolver(revision)
            library._load_reverse_xref_cache()
            numbers = changed_since(reader, revision)
            usages = Usages(library, graph.before(reader, revision), numbers)
            for number in range(1, size_of(pdf)):
                reference = Reference(number, 0, library)
                theirs = library._get_usages_of_ref(reference)
                assert usages.get(reference, set()) == theirs, (revision, number)
                compared += bool(theirs)
    assert compared > 60


def test_what_is_missing_or_freed_is_seen_by_who_refers_to_it(pki: Pki) -> None:
    plain = documents.page_pdf()
    page, free = number_of(plain, b"/Type /Page", b"/Contents"), size_of(plain) + 300
    entry = object_of(plain, page)
    missing = documents.sign(appended(plain, {page: entry[:-2] + b" /PieceInfo %d 0 R >>" % free}), pki.officer)
    later = appended(missing, {free: b"<< >>"})
    reader = PdfFileReader(io.BytesIO(later), strict=False)
    graph = SecondReading(later, reader, NO_PASSWORD).graph(missing, reader, reader.xrefs.total_revisions - 2)
    assert graph is not None
    assert graph.before(reader, reader.xrefs.total_revisions - 2).mentioned({free, free + 1}) == {free}
    content = number_of(missing, b"/ASCII85Decode")
    gone = appended(missing, {}, rows=[(content, b"0000000000 00001 f")])
    reader = PdfFileReader(io.BytesIO(gone), strict=False)
    graph = SecondReading(gone, reader, NO_PASSWORD).graph(missing, reader, reader.xrefs.total_revisions - 2)
    assert graph is not None
    assert content in graph.reachable()
