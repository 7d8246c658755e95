"""The errors of what is drawn on a page: one tree, each with a stable reason code and its facts."""

from __future__ import annotations


class AppearanceError(Exception):
    """Something visible could not be made or placed. `code` is stable; `facts` fill the sentences of the locale catalogues."""

    code = "APPEARANCE_ERROR"

    def __init__(self, message: str, **facts: str) -> None:
        super().__init__(message)
        self.facts: dict[str, str] = facts


class FontMissing(AppearanceError):
    """The font file is not there or is not a TrueType font that may be embedded. Facts: path."""

    code = "FONT_MISSING"


class GlyphMissing(AppearanceError):
    """The font has no picture of a character. Facts: char (U+XXXX), name."""

    code = "GLYPH_MISSING"


class ScriptFontMissing(FontMissing):
    """A letter of a script whose font is not installed. Facts: char (U+XXXX), name, package (of Debian)."""

    code = "SCRIPT_FONT_MISSING"


class TextTooLong(AppearanceError):
    """A value does not fit its box even at the smallest readable size. Facts: text."""

    code = "TEXT_TOO_LONG"


class ImageUnreadable(AppearanceError):
    """The picture is damaged, or is not a PNG. Facts: file."""

    code = "IMAGE_UNREADABLE"


class ImageTooLarge(AppearanceError):
    """The picture passes a limit of bytes or pixels; said before anything is unpacked. Facts: file, limit."""

    code = "IMAGE_TOO_LARGE"


class ImageKindUnsupported(AppearanceError):
    """A PNG of a kind that is not taken: 16 bits a channel, animated, CMYK, an impossible gamma. Facts: file, kind."""

    code = "IMAGE_KIND_UNSUPPORTED"


class ImageNotTransparent(AppearanceError):
    """The picture's background is not transparent. Facts: file."""

    code = "IMAGE_NOT_TRANSPARENT"


class ImageBlank(AppearanceError):
    """The picture shows nothing. Facts: file."""

    code = "IMAGE_BLANK"


class ImageColourWrong(AppearanceError):
    """A seal that is not red or a signature that is not blue (ND30, Appendix I). Facts: file, wanted, found."""

    code = "IMAGE_COLOUR_WRONG"


class ImageNotRound(AppearanceError):
    """A seal's picture that is not as wide as it is high: its diameter would be a guess. Facts: file, width, height."""

    code = "IMAGE_NOT_ROUND"


class ImageSizeWrong(AppearanceError):
    """A seal or a signature of a size on paper that none has. Facts: file, size, least, most (mm)."""

    code = "IMAGE_SIZE_WRONG"


class ImageTooCoarse(AppearanceError):
    """Too few pixels for its size on paper. Facts: file, dpi, least, size (mm), width, wanted (pixels)."""

    code = "IMAGE_TOO_COARSE"


class PlacementMalformed(AppearanceError):
    """A placement that is none of those that there are. Facts: placement, valid."""

    code = "PLACEMENT_MALFORMED"


class PlacementOffPage(AppearanceError):
    """The page asked for does not exist, or the stamp would hang over its edge. Facts: placement, pages."""

    code = "PLACEMENT_OFF_PAGE"


class PlacementCoversText(AppearanceError):
    """The stamp would cover what stands on the page. Facts: placement, page."""

    code = "PLACEMENT_COVERS_TEXT"


class PlacementWithoutRoom(AppearanceError):
    """Free room was asked for, and there is none as large as the stamp. Facts: page ("–" for any)."""

    code = "PLACEMENT_WITHOUT_ROOM"


class FieldCoversText(AppearanceError):
    """The field that was named reaches over the text of its page. Facts: field, page."""

    code = "FIELD_COVERS_TEXT"


class AnchorMissing(AppearanceError):
    """The text beside which the stamp is to stand is nowhere. Facts: anchor, pages."""

    code = "ANCHOR_MISSING"


class AnchorAmbiguous(AppearanceError):
    """The text stands there more than once, and nobody has said which is meant. Facts: anchor, count, where."""

    code = "ANCHOR_AMBIGUOUS"


class AnchorFewer(AppearanceError):
    """The text does not stand there as often as the number that was named. Facts: anchor, number, count."""

    code = "ANCHOR_FEWER"


class AnchorWithoutRoom(AppearanceError):
    """Around the text there is no free room as large as the stamp. Facts: anchor, page."""

    code = "ANCHOR_WITHOUT_ROOM"


class SurveyFailed(AppearanceError):
    """The document could not be looked at: the renderer refused the file or a page. Facts: detail."""

    code = "SURVEY_FAILED"
