"""signer/appearance/png.py and upload.py: what of a stranger's PNG counts, and the form in which pictures are kept."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image, ImageDraw

from signer.appearance.errors import AppearanceError
from signer.appearance.image_rules import ImageRule
from signer.appearance.images import check_picture, load_image
from signer.appearance.png import read_png, write_png
from signer.appearance.upload import picture_task, take_picture
from signer.office_policy import policy_files

RED = (208, 16, 28, 255)
SEAL = policy_files()[0].images["seal"]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def ring(side: int = 600) -> Image.Image:
    picture = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    ImageDraw.Draw(picture).ellipse((5, 5, side - 6, side - 6), outline=RED, width=side // 20)
    return picture


def png_of(picture: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG", **options)
    return out.getvalue()


def with_chunk(png: bytes, kind: bytes, body: bytes) -> bytes:
    """Behind the header, as encoders put it."""
    return png[:33] + chunk(kind, body) + png[33:]


def refusal(png: bytes, width_mm: float = 36.0, rule: ImageRule = SEAL) -> AppearanceError:
    with pytest.raises(AppearanceError) as caught:
        take_picture(png, "seal", width_mm, rule, "seal.png")
    return caught.value


def interlaced(picture: Image.Image) -> bytes:
    """Adam7, which Pillow reads and does not write (PNG specification, 8.1)."""
    width, height = picture.size
    pixels, rows = picture.tobytes(), bytearray()
    for left, top, across, down in (
        *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
    ):
        for y in range(top, height, down):
            rows += b"\0" + b"".join(pixels[4 * (y * width + x) :][:4] for x in range(left, width, across))
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 1)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_what_is_kept_is_read_as_it_was_written():
    pixels = bytes(range(4 * 3 * 5))
    assert read_png(write_png(3, 5, pixels)) == (3, 5, pixels)
    assert Image.open(io.BytesIO(write_png(3, 5, pixels))).convert("RGBA").tobytes() == pixels


@pytest.mark.parametrize("harm", [b"", b"x" * 60, png_of(ring(40)), write_png(2, 2, bytes(16))[:-1]])
def test_nothing_else_is_read_as_a_kept_picture(harm):
    with pytest.raises((ValueError, struct.error)):
        read_png(harm)


def test_palette_interlace_and_plain_are_the_same_picture():
    plain = ring()
    flat = check_picture(png_of(plain), "seal", "x").tobytes()
    assert check_picture(interlaced(plain), "seal", "x").tobytes() == flat
    palette = plain.quantize(8, method=Image.Quantize.FASTOCTREE)
    assert check_picture(png_of(palette), "seal", "x").size == check_picture(png_of(plain), "seal", "x").size


def test_text_time_and_what_follows_the_end_are_not_kept():
    noisy = with_chunk(with_chunk(png_of(ring()), b"tEXt", b"Author\0A"), b"tIME", bytes(7)) + b"more behind it"
    assert take_picture(noisy, "seal", 36.0, SEAL, "x") == take_picture(png_of(ring()), "seal", 36.0, SEAL, "x")


def test_a_text_chunk_that_unpacks_to_gigabytes_is_not_even_looked_at():
    bomb = b"Comment\0\0" + zlib.compress(b"A" * 80_000_000)
    assert take_picture(with_chunk(png_of(ring()), b"zTXt", bomb), "seal", 36.0, SEAL, "x")[0] == 590


def test_another_gamma_is_brought_to_that_of_screens():
    darker = check_picture(with_chunk(png_of(ring()), b"gAMA", struct.pack(">I", 100_000)), "seal", "x")
    plain = check_picture(with_chunk(png_of(ring()), b"gAMA", struct.pack(">I", 45_455)), "seal", "x")
    assert plain.getpixel((295, 15)) == RED
    red, green, blue, alpha = darker.getpixel((295, 15))
    assert (red, green, blue, alpha) == (232, 72, 93, 255)  # 255·(v/255)^(1/2.2)
    told = with_chunk(with_chunk(png_of(ring()), b"gAMA", struct.pack(">I", 100_000)), b"sRGB", b"\0")
    assert check_picture(told, "seal", "x").tobytes() == plain.tobytes()


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        (b"gAMA", struct.pack(">I", 0), "gamma"),
        (b"gAMA", struct.pack(">I", 2**31), "gamma"),
        (b"iCCP", b"press\0\0" + zlib.compress(bytes(16) + b"CMYK" + bytes(200)), "CMYK"),
        (b"acTL", bytes(8), "animated"),
        (b"fdAT", bytes(8), "animated"),
    ],
)
def test_what_no_picture_of_a_seal_is_is_named(kind, body, said):
    padding = chunk(b"tEXt", b"x\0" + b"y" * 9000)
    png = png_of(ring())
    error = refusal(png[:33] + padding + chunk(kind, body) + png[33:])
    assert (error.code, error.facts["kind"]) == ("IMAGE_KIND_UNSUPPORTED", said)


def test_a_profile_that_unpacks_to_gigabytes_is_read_as_far_as_its_header():
    bomb = b"press\0\0" + zlib.compress(bytes(16) + b"RGB " + bytes(80_000_000))
    assert load_image(with_chunk(png_of(ring()), b"iCCP", bomb), "seal", 36.0).width_px == 590


def test_print_needs_its_pixels_and_the_sentence_says_how_many():
    error = refusal(png_of(ring(400)))
    assert error.code == "IMAGE_TOO_COARSE"
    assert error.facts | {"file": ""} == {
        "file": "", "dpi": "275", "least": "300", "size": "36", "width": "390", "wanted": "425",
    }  # fmt: skip
    assert refusal(png_of(ring()), 80.0).code == "IMAGE_SIZE_WRONG"


def test_the_colour_is_the_policys():
    green = ImageRule(90, 150, 0.7, 20, 60, 300)
    assert refusal(png_of(ring()), rule=green).code == "IMAGE_COLOUR_WRONG"
    assert SEAL.hues >= {0, 18, 239, 255}
    assert not SEAL.hues & set(range(19, 238))


def test_a_refusal_travels_as_an_answer():
    header = {"purpose": "seal", "width_mm": 36.0, "rule": vars(SEAL), "file": "ảnh.png"}
    header["rule"] = {name: value for name, value in vars(SEAL).items() if name != "hues"}
    answer, blobs = picture_task(header, [b"GIF89a"])
    assert (answer["error"], answer["code"], answer["facts"], blobs) == (
        "InputUnreadable", "IMAGE_UNREADABLE", {"file": "ảnh.png"}, [],
    )  # fmt: skip
    answer, (png,) = picture_task(header, [png_of(ring())])
    assert (answer, read_png(png)[:2]) == ({"width_px": 590, "height_px": 590}, (590, 590))
