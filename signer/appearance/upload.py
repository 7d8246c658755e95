"""The judge process's task `picture`: a stranger's PNG is checked by the rules of its purpose, and comes out in the form that is kept."""

from __future__ import annotations

from typing import Any

from signer.appearance.errors import AppearanceError, ImageSizeWrong, ImageTooCoarse, ImageUnreadable
from signer.appearance.image_rules import ImageRule, Purpose
from signer.appearance.images import check_picture
from signer.appearance.png import write_png

Message = tuple[dict[str, Any], list[bytes]]
_MM_AN_INCH = 25.4


def picture_task(header: dict[str, Any], blobs: list[Any]) -> Message:
    """Blob 0 is the PNG. A refusal is an answer, not a failure."""
    rule = ImageRule(**header["rule"])
    try:
        width, height, png = take_picture(blobs[0], header["purpose"], header["width_mm"], rule, header["file"])
    except AppearanceError as error:
        kind = "InputUnreadable" if isinstance(error, ImageUnreadable) else "Refused"
        return {"error": kind, "code": error.code, "facts": error.facts}, []
    return {"width_px": width, "height_px": height}, [png]


def take_picture(png: bytes, purpose: Purpose, width_mm: float, rule: ImageRule, file: str) -> tuple[int, int, bytes]:
    """Width and height in pixels and the picture as it is kept; AppearanceError when it is not what the rule asks for."""
    if not rule.least_mm <= width_mm <= rule.most_mm:
        raise ImageSizeWrong(
            f"{width_mm:g} mm", file=file, size=f"{width_mm:g}", least=f"{rule.least_mm:g}", most=f"{rule.most_mm:g}"
        )
    picture = check_picture(png, purpose, file, rule)
    dpi = picture.width / width_mm * _MM_AN_INCH
    if round(dpi) < rule.least_dpi:
        wanted = round(rule.least_dpi * width_mm / _MM_AN_INCH)
        raise ImageTooCoarse(
            f"{file} has {dpi:.0f} dpi", file=file, dpi=f"{dpi:.0f}", least=f"{rule.least_dpi:g}", size=f"{width_mm:g}",
            width=str(picture.width), wanted=str(wanted),
        )  # fmt: skip
    return picture.width, picture.height, write_png(picture.width, picture.height, picture.tobytes())
