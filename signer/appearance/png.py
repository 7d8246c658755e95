"""PNG files: what of a stranger's one is needed to see its picture, and the one plain form in which pictures are kept.

A kept picture is RGBA of 8 bits, unfiltered rows in a single IDAT and nothing else, so that reading it takes no decoder.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from signer.appearance.errors import ImageKindUnsupported, ImageTooLarge, ImageUnreadable

MAX_OCTETS = 5 * 1024 * 1024
MAX_PIXELS_A_SIDE = 4096
_PNG = b"\x89PNG\r\n\x1a\n"
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
# These say what the colours mean, whatever gAMA says (PNG specification, 4.3).
_BETTER_THAN_GAMMA = (b"sRGB", b"iCCP", b"cICP")
_SCREEN_GAMMA = 2.2
_GAMMAS = (0.2, 2.5)
_PROFILE_HEADER = 128
_CANONICAL = struct.pack(">BBBBB", 8, 6, 0, 0, 0)


@dataclass(frozen=True)
class Essential:
    """A PNG without text, profile and whatever else is not its picture. `exponent`: what each colour of it, from 0 to 1, is raised to
    for an ordinary screen; None for 1.
    """

    png: bytes
    exponent: float | None


def check_header(png: bytes, file: str) -> None:
    """Signature and IHDR (PNG specification, 11.2.2) before any decoder runs: a bomb is refused before anything is unpacked."""
    if len(png) > MAX_OCTETS:
        raise too_large(file, f"{MAX_OCTETS} bytes")
    if not png.startswith(_PNG) or png[12:16] != b"IHDR" or len(png) < 33:
        raise ImageUnreadable(f"{file} is not a PNG", file=file)
    width, height, depth = struct.unpack(">IIB", png[16:25])
    if not (0 < width <= MAX_PIXELS_A_SIDE and 0 < height <= MAX_PIXELS_A_SIDE):
        raise too_large(file, f"{MAX_PIXELS_A_SIDE} x {MAX_PIXELS_A_SIDE} pixels")
    if depth == 16:
        raise _unsupported(file, "16-bit")


def essential(png: bytes, file: str) -> Essential:
    """What is left of a file whose header is good; ImageUnreadable, ImageKindUnsupported. Nothing is unpacked but a profile's header."""
    kept, gamma, told = [_PNG], None, False
    for kind, whole, body in _chunks(png, file):
        if kind in _ANIMATION:
            raise _unsupported(file, "animated")
        if kind in _NEEDED:
            kept.append(whole)
        elif kind in _BETTER_THAN_GAMMA:
            told = True
            if kind == b"iCCP" and _colours_of_profile(body) not in (b"RGB ", b"GRAY", None):
                raise _unsupported(file, "CMYK")
        elif kind == b"gAMA" and len(body) == 4:
            gamma = int.from_bytes(body) / 100_000
            if not _GAMMAS[0] <= gamma <= _GAMMAS[1]:
                raise _unsupported(file, "gamma")
    exponent = 1 / (_SCREEN_GAMMA * gamma) if gamma is not None and not told else 1.0
    return Essential(b"".join(kept), None if abs(exponent - 1) < 0.02 else exponent)


def write_png(width: int, height: int, rgba: bytes) -> bytes:
    """The one plain form."""
    stride = 4 * width
    rows = b"".join(b"\0" + rgba[at : at + stride] for at in range(0, stride * height, stride))
    head = struct.pack(">II", width, height) + _CANONICAL
    return _PNG + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows, 9)) + _chunk(b"IEND", b"")


def read_png(png: bytes) -> tuple[int, int, bytes]:
    """Width, height and RGBA of what `write_png` has written; ValueError for anything else."""
    width, height = struct.unpack(">II", png[16:24])
    length = int.from_bytes(png[33:37])
    end = 41 + length + 4
    plain = png.startswith(_PNG) and png[24:29] == _CANONICAL and png[37:41] == b"IDAT" and len(png) == end + 12
    if not plain or not (0 < width <= MAX_PIXELS_A_SIDE and 0 < height <= MAX_PIXELS_A_SIDE):
        raise ValueError("not a picture as it is kept")
    stride = 4 * width + 1
    rows = zlib.decompressobj().decompress(png[41 : 41 + length], stride * height + 1)
    if len(rows) != stride * height or any(rows[::stride]):
        raise ValueError("not a picture as it is kept")
    return width, height, b"".join(rows[at + 1 : at + stride] for at in range(0, stride * height, stride))


def too_large(file: str, limit: str) -> ImageTooLarge:
    """The refusal of a picture beyond a limit."""
    return ImageTooLarge(f"{file} is larger than {limit}", file=file, limit=limit)


def _unsupported(file: str, kind: str) -> ImageKindUnsupported:
    return ImageKindUnsupported(f"{file} is a PNG of a kind that is not taken: {kind}", file=file, kind=kind)


def _chunks(png: bytes, file: str) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Kind, all octets and the body of each, up to IEND; what stands behind that is nobody's."""
    at = len(_PNG)
    while at < len(png):
        length, kind = int.from_bytes(png[at : at + 4]), png[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(png):
            raise ImageUnreadable(f"{file} is cut off", file=file)
        yield kind, png[at:end], png[at + 8 : end - 4]
        if kind == b"IEND":
            return
        at = end
    raise ImageUnreadable(f"{file} is cut off", file=file)


def _colours_of_profile(body: bytes) -> bytes | None:
    """The colour space that an ICC profile is for (ICC.1, 7.2.8); None when it cannot be read, and means nothing then."""
    _, _, packed = body.partition(b"\0")
    try:
        header = zlib.decompressobj().decompress(packed[1:], _PROFILE_HEADER)
    except zlib.error:
        return None
    return header[16:20] if len(header) >= 20 else None


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
