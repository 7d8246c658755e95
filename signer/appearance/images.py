"""Pictures of seals and signatures: a PNG that is checked, and one that is kept as the two deflated streams that a PDF wants."""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops, UnidentifiedImageError

from signer.appearance import derived
from signer.appearance.errors import (
    ImageBlank,
    ImageColourWrong,
    ImageNotRound,
    ImageNotTransparent,
    ImageUnreadable,
)
from signer.appearance.image_rules import ImageRule, Purpose
from signer.appearance.png import MAX_OCTETS, MAX_PIXELS_A_SIDE, check_header, essential, read_png, too_large
from signer.office_policy import policy_files

# Pictures that were registered by an earlier release are opened as it did.
_CHECKS_VERSION = 1
"""Stricter checks need a new number, or pictures accepted before would pass by the cache."""

# What counts as drawn, as see-through, as white, and how much of a picture must be so. Measured on scanned and drawn seals
# and signatures: a round seal leaves 21 % of its square free at the very least, and most of its inside.
_FAINT, _DRAWN, _WHITE = 32, 128, 230
_TRANSPARENT_SHARE, _WHITE_SHARE, _INK_SHARE = 0.35, 0.10, 0.002
_ROUNDNESS = 0.03

_WANTED = {"seal": "red", "signature": "blue"}
_HUE_NAMES = ((19, "red"), (50, "yellow"), (120, "green"), (139, "cyan"), (193, "blue"), (238, "purple"), (256, "red"))


@dataclass(frozen=True)
class StampImage:
    """A transparent picture: `rgb` and `alpha` are deflated, 8 bits a channel; `width_mm` × `height_mm` is its size on paper.

    Empty edges are cut off, so that the millimetres are those of what is drawn. `sha256` is of the PNG that was approved.
    """

    rgb: bytes
    alpha: bytes
    width_px: int
    height_px: int
    width_mm: float
    height_mm: float
    sha256: str


def open_image(path: Path, purpose: Purpose, width_mm: float, cache: Path | None = None) -> StampImage:
    """The picture in a file; see `load_image`. With a `cache` folder a picture is decoded and checked once."""
    try:
        if path.stat().st_size > MAX_OCTETS:
            raise too_large(path.name, f"{MAX_OCTETS} bytes")
        png = path.read_bytes()
    except OSError as error:
        raise ImageUnreadable(f"cannot read {path}: {error.strerror}", file=str(path)) from error
    if cache is None:
        return load_image(png, purpose, width_mm, path.name)
    digest = hashlib.sha256(png).hexdigest()
    kept = cache / f"image-{digest[:32]}-{purpose}-{_CHECKS_VERSION}.bin"
    try:
        image = _unpack_image(kept.read_bytes(), purpose, width_mm, digest)
    except (OSError, ValueError):
        image = load_image(png, purpose, width_mm, path.name)
        derived.keep(kept, derived.pack({"size": [image.width_px, image.height_px]}, image.rgb, image.alpha))
    return image


def _unpack_image(packed: bytes, purpose: Purpose, width_mm: float, digest: str) -> StampImage:
    head, (rgb, alpha) = derived.unpack(packed)
    width, height = head["size"]
    return StampImage(rgb, alpha, width, height, width_mm, _height_mm(purpose, width_mm, width, height), digest)


def _height_mm(purpose: Purpose, width_mm: float, width: int, height: int) -> float:
    """A seal is as high as it is wide; a signature keeps its proportions."""
    return width_mm if purpose == "seal" else width_mm * height / width


def load_image(
    png: bytes, purpose: Purpose, width_mm: float, file: str = "image", rule: ImageRule | None = None
) -> StampImage:
    """Check a PNG and make it ready to be embedded, `width_mm` wide on paper (a seal: its diameter)."""
    picture = check_picture(png, purpose, file, rule)
    sha256 = hashlib.sha256(png).hexdigest()
    return _stamp(picture.width, picture.height, picture.tobytes(), purpose, width_mm, sha256)


def kept_image(png: bytes, purpose: Purpose, width_mm: float, sha256: str, cache: Path) -> StampImage:
    """A picture as it is kept, which was checked when it came; `sha256` is its digest. No decoder reads it: it is in our own form."""
    derivation = cache / f"image-{sha256[:32]}-{purpose}-kept.bin"
    try:
        return _unpack_image(derivation.read_bytes(), purpose, width_mm, sha256)
    except (OSError, ValueError):
        image = _stamp(*read_png(png), purpose, width_mm, sha256)
        derived.keep(derivation, derived.pack({"size": [image.width_px, image.height_px]}, image.rgb, image.alpha))
    return image


def _stamp(width: int, height: int, rgba: bytes, purpose: Purpose, width_mm: float, sha256: str) -> StampImage:
    rgb = bytearray(3 * width * height)
    for channel in range(3):
        rgb[channel::3] = rgba[channel::4]
    return StampImage(
        rgb=zlib.compress(rgb, 9),
        alpha=zlib.compress(rgba[3::4], 9),
        width_px=width,
        height_px=height,
        width_mm=width_mm,
        height_mm=_height_mm(purpose, width_mm, width, height),
        sha256=sha256,
    )


def check_picture(png: bytes, purpose: Purpose, file: str, rule: ImageRule | None = None) -> Image.Image:
    """What a PNG shows, in RGBA with its empty edges cut off; AppearanceError unless it is what the `rule` asks of its purpose (default:
    that of the newest policy).

    The checks are in order of cost: nothing is unpacked before the header has named a size within the limits.
    """
    # 1. What the header says, read by ourselves: a bomb must be refused before a decoder sees it.
    check_header(png, file)
    # 2. Decode nothing but the picture. Pillow's own warnings of a bomb count as refusals.
    needed = essential(png, file)
    picture = _decode(needed.png, file)
    if needed.exponent is not None:
        picture = _with_exponent(picture, needed.exponent)
    # 3. What is drawn, on what, in which colour.
    alpha = picture.getchannel("A")
    _check_transparency(picture, alpha, file)
    drawn_box = alpha.point([0] * _FAINT + [255] * (256 - _FAINT)).getbbox()
    if drawn_box is None:
        raise ImageBlank(f"{file} shows nothing", file=file)
    _check_colour(picture, alpha, purpose, file, rule or policy_files()[0].images[purpose])
    # 4. Cut off empty edges: a diameter in millimetres is the ring's, not the file's.
    picture = picture.crop(drawn_box)
    width, height = picture.size
    if purpose == "seal" and abs(width - height) > _ROUNDNESS * max(width, height):
        raise ImageNotRound(
            f"{file} is {width} x {height} pixels of ink, not round", file=file, width=str(width), height=str(height)
        )
    return _with_ink_under(picture)


def _decode(png: bytes, file: str) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(png), formats=["PNG"]) as opened:
                opened.load()
                return opened.convert("RGBA")
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise too_large(file, f"{MAX_PIXELS_A_SIDE} x {MAX_PIXELS_A_SIDE} pixels") from error
        except (OSError, SyntaxError, ValueError, EOFError, UnidentifiedImageError, struct.error, zlib.error) as error:
            raise ImageUnreadable(f"{file} is damaged: {error}", file=file) from error


def _with_exponent(picture: Image.Image, exponent: float) -> Image.Image:
    """The same colours for an ordinary screen, where the file was made for another one (PNG specification, 11.3.3.2)."""
    curve = [round(255 * (value / 255) ** exponent) for value in range(256)]
    return picture.point([*curve, *curve, *curve, *range(256)])


def _check_transparency(picture: Image.Image, alpha: Image.Image, file: str) -> None:
    """Enough of the picture is see-through, and what is drawn is not a white sheet: a white disc would hide the signature."""
    shades = alpha.histogram()
    total = picture.width * picture.height
    if sum(shades[_FAINT:]) == 0:
        raise ImageBlank(f"{file} shows nothing", file=file)
    white = _lightest_shared(picture).point([0] * _WHITE + [255] * (256 - _WHITE))
    solid = alpha.point([0] * _DRAWN + [255] * (256 - _DRAWN))
    white_drawn = white.histogram(mask=solid)[255]
    if sum(shades[:_FAINT]) < _TRANSPARENT_SHARE * total or white_drawn > _WHITE_SHARE * max(1, sum(shades[_DRAWN:])):
        raise ImageNotTransparent(f"the background of {file} is not transparent", file=file)
    if sum(shades[_DRAWN:]) < _INK_SHARE * total:
        raise ImageBlank(f"{file} shows nothing", file=file)


def _lightest_shared(picture: Image.Image) -> Image.Image:
    """The darkest of the three channels of each pixel: high only where all three are."""
    red, green, blue, _ = picture.split()
    return ImageChops.darker(ImageChops.darker(red, green), blue)


def _check_colour(picture: Image.Image, alpha: Image.Image, purpose: Purpose, file: str, rule: ImageRule) -> None:
    """ND30, Appendix I: the signature is blue (II.7), the seal red (II.8). The hue of most of the ink decides."""
    ink = alpha.point([0] * _DRAWN + [255] * (256 - _DRAWN))
    hue, saturation, value = picture.convert("RGB").convert("HSV").split()
    coloured = ImageChops.darker(
        ink,
        ImageChops.darker(
            saturation.point([0] * 64 + [255] * 192),
            value.point([0] * 48 + [255] * 208),
        ),
    )
    total = ink.histogram()[255]
    hues = hue.histogram(mask=coloured)
    if sum(hues[step] for step in rule.hues) < rule.share * total:
        strongest = max(range(256), key=lambda step: hues[step])
        grey = coloured.histogram()[255] < total / 2
        found = "black or grey" if grey else next(name for limit, name in _HUE_NAMES if strongest < limit)
        raise ImageColourWrong(
            f"{file} is {found}, not {_WANTED[purpose]}", file=file, wanted=_WANTED[purpose], found=found
        )


def _with_ink_under(picture: Image.Image) -> Image.Image:
    """Where nothing is drawn the colour becomes the ink's: viewers blend neighbours at the edges."""
    alpha = picture.getchannel("A")
    rgb = picture.convert("RGB")
    drawn = alpha.point([0] + [255] * 255)
    counts = [rgb.getchannel(name).histogram(mask=alpha.point([0] * _DRAWN + [255] * (256 - _DRAWN))) for name in "RGB"]
    total = max(1, sum(counts[0]))
    ink = tuple(round(sum(level * count for level, count in enumerate(shades)) / total) for shades in counts)
    painted = Image.composite(rgb, Image.new("RGB", rgb.size, ink), drawn).convert("RGBA")
    painted.putalpha(alpha)
    return painted
