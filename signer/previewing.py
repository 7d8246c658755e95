"""The judge process's task `preview`: the revision of a plan is appended, and a page is drawn as readers will see it then. Uses no key."""

from __future__ import annotations

import io
import math
from typing import Any

import pypdfium2

from signer.appearance.errors import AppearanceError, PlacementOffPage, SurveyFailed
from signer.appearance.survey import Drawable
from signer.errors import Refused, SignerError
from signer.octets import stream_of
from signer.plan import Message, Plan
from signer.preparing import prepare_and_look

_MOST_PIXELS = 12_000_000
_POINTS_AN_INCH = 72


def preview_task(header: dict[str, Any], blobs: list[Any]) -> Message:
    """Blob 0 is the file, the rest the plan's; the answer is that of `prepare` with the picture behind it. A refusal is an answer."""
    try:
        plan = Plan.from_message(header["plan"], blobs[1:])
        prepared = prepare_and_look(blobs[0], plan)
        document = blobs[0] + prepared.tail
        drawable = document if isinstance(document, bytes) else stream_of(document)
        png, page, pages = draw_page(drawable, header["page"], prepared.page, header["dpi"], plan.password.text)
    except SignerError as error:
        return {"error": type(error).__name__, "code": error.code, "facts": error.facts}, []
    except AppearanceError as error:
        return {"error": Refused.__name__, "code": error.code, "facts": error.facts}, []
    answer, tail = prepared.to_message()
    return {"prepared": answer, "page": page, "pages": pages}, [*tail, png]


def draw_page(pdf: Drawable, wanted: int, stamped: int, dpi: int, password: str = "") -> tuple[bytes, int, int]:
    """A page as PNG, its number and how many there are. `wanted`: from 1, or from -1 at the end; 0 for the one at the index `stamped`."""
    try:
        document = pypdfium2.PdfDocument(pdf, password=password or None)
    except (pypdfium2.PdfiumError, OSError, ValueError) as error:
        raise SurveyFailed("the document cannot be drawn", detail="open") from error
    # Fields are drawn only where there is a form environment, and before a page is opened.
    document.init_forms()
    pages = len(document)
    index = stamped if wanted == 0 else wanted - 1 if wanted > 0 else pages + wanted
    if not 0 <= index < pages:
        raise PlacementOffPage(f"no page {wanted}", placement=str(wanted), pages=str(pages))
    try:
        page = document[index]
        width, height = page.get_size()
        scale = min(dpi / _POINTS_AN_INCH, math.sqrt(_MOST_PIXELS / max(1.0, width * height)))
        picture = (
            page.render(scale=scale, draw_annots=True, may_draw_forms=True, rev_byteorder=True).to_pil().convert("RGB")
        )
    except (pypdfium2.PdfiumError, OSError, ValueError, MemoryError) as error:
        raise SurveyFailed("the page cannot be drawn", detail=f"page {index + 1}") from error
    finally:
        document.close()
    out = io.BytesIO()
    picture.save(out, "PNG", dpi=(scale * _POINTS_AN_INCH, scale * _POINTS_AN_INCH))
    return out.getvalue(), index + 1, pages
