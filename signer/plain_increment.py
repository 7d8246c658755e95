"""Appends an unseen signature field to a plain PDF, without the library: a tenth of the time for the commonest case.

Only for a file that has no form yet and a plan that draws nothing; the caller turns to preparing.py's way for the rest.
"""

from __future__ import annotations

from signer.octets import Octets
from signer.plain_base import read_plain
from signer.plain_pdf import NotPlain
from signer.plain_revision import PlainRevision, with_annotation
from signer.plan import Plan, Prepared
from signer.subfilters import SUBFILTERS

_HIDDEN_LOCKED = 132  # Print and Locked (ISO 32000-2 table 167), as for a field that shows nothing


def prepare_plain(pdf: Octets, plan: Plan, field: str) -> Prepared:
    """The appended revision for a plan without stamp and values; NotPlain when the file or the plan asks for more."""
    if (
        plan.placement != "none"
        or plan.values
        or plan.protection
        or plan.kind != "signature"
        or not field.isascii()
        or not field.isalnum()
    ):
        raise NotPlain("the plan draws or fills something")
    base = read_plain(pdf)
    if base.catalog.entries.keys() & {b"/AcroForm", b"/Perms"}:
        raise NotPlain("there is a form")
    revision = PlainRevision(pdf, base)
    widget, signature = revision.new_number(), revision.new_number()
    form = b"<< /Fields [%d 0 R] /SigFlags 3 >>" % widget
    revision.write(base.catalog_number, base.catalog.with_entry(b"/AcroForm", form))
    revision.write(base.page_number, with_annotation(base, widget))
    revision.write(
        widget,
        b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (%b) /F %d /Rect [0 0 0 0] /P %d 0 R /V %d 0 R >>"
        % (field.encode("ascii"), _HIDDEN_LOCKED, base.page_number, signature),
    )
    claimed = plan.claimed_time.strftime("%Y%m%d%H%M%SZ").encode("ascii")
    subfilter = SUBFILTERS[plan.subfilter].encode("ascii")
    entries = b"/Type /Sig /Filter /Adobe.PPKLite /SubFilter /%b /M (D:%b)" % (subfilter, claimed)
    revision.write_signature(signature, entries, plan.contents_octets)
    tail, hole = revision.finish()
    assert hole is not None
    return Prepared(tail, hole, field, None, (), lenient=False)
