from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from signer.appearance.errors import (
    AppearanceError,
    ImageBlank,
    ImageColourWrong,
    ImageKindUnsupported,
    ImageNotRound,
    ImageNotTransparent,
    ImageTooLarge,
    ImageUnreadable,
)
from signer.appearance.images import load_image, open_image
from signer.appearance.png import MAX_OCTETS

RED, BLUE = (200, 10, 20, 255), (20, 40, 160, 255)


def ring(colour=RED, size=(300, 300), inside=(0, 0, 0, 0), background=(0, 0, 0, 0)) -> Image.Image:
    picture = Image.new("RGBA", size, background)
    ImageDraw.Draw(picture).ellipse((20, 20, size[0] - 21, size[1] - 21), outline=colour, fill=inside, width=12)
    return picture


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def header_only(width: int, height: int, depth: int = 8) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_good_seal_is_taken_and_its_empty_edges_are_cut_off(as_png):
    image = load_image(as_png(ring()), "seal", 36.0)
    assert (image.width_px, image.height_px) == (260, 260)
    assert (image.width_mm, image.height_mm) == (36.0, 36.0)
    assert len(zlib.decompress(image.rgb)) == 260 * 260 * 3
    assert len(zlib.decompress(image.alpha)) == 260 * 260


def test_pixels_beside_the_ink_carry_its_colour_so_that_no_pale_edge_appears(as_png):
    rgb = zlib.decompress(load_image(as_png(ring()), "seal", 36.0).rgb)
    assert rgb[:3] == bytes(RED[:3])


def test_a_signature_keeps_its_proportions(signature, signature_png):
    box = Image.open(io.BytesIO(signature_png)).getchannel("A").getbbox()
    assert signature.height_mm == pytest.approx(45.0 * (box[3] - box[1]) / (box[2] - box[0]), rel=0.02)


def test_a_palette_with_a_transparent_colour_is_taken_too(as_png):
    opaque = ring(background=(0, 255, 0, 255), inside=(0, 255, 0, 255)).convert("RGB").quantize(4)
    green = opaque.getpixel((0, 0))
    out = io.BytesIO()
    opaque.save(out, "PNG", transparency=green)
    assert load_image(out.getvalue(), "seal", 36.0).width_px == 260


@pytest.mark.parametrize("size", [(30_000, 30_000), (4097, 10), (10, 4097), (0, 10), (2**31, 1)])
def test_a_bomb_is_refused_by_its_header(size):
    with pytest.raises(ImageTooLarge):
        load_image(header_only(*size), "seal", 36.0)


def test_a_small_file_that_unpacks_to_more_than_its_header_says_is_not_followed():
    body = chunk(b"IHDR", struct.pack(">IIBBBBB", 10, 10, 8, 6, 0, 0, 0)) + chunk(
        b"IDAT", zlib.compress(b"\0" * 50_000_000)
    )
    with pytest.raises(AppearanceError):
        load_image(b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b""), "seal", 36.0)


def test_a_text_chunk_that_unpacks_to_gigabytes_is_refused():
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 10, 10, 8, 6, 0, 0, 0))
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"A" * 80_000_000))
    with pytest.raises(ImageUnreadable):
        load_image(b"\x89PNG\r\n\x1a\n" + head + bomb + chunk(b"IEND", b""), "seal", 36.0)


def test_a_file_of_too_many_octets_is_refused_unread(tmp_path):
    path = tmp_path / "seal.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * MAX_OCTETS)
    with pytest.raises(ImageTooLarge) as caught:
        open_image(path, "seal", 36.0)
    assert caught.value.facts["file"] == "seal.png"


def test_a_jpeg_is_no_png():
    out = io.BytesIO()
    ring().convert("RGB").save(out, "JPEG")
    with pytest.raises(ImageUnreadable):
        load_image(out.getvalue(), "seal", 36.0)


def test_a_truncated_png_is_unreadable(as_png):
    with pytest.raises(ImageUnreadable):
        load_image(as_png(ring())[:400], "seal", 36.0)


def test_sixteen_bits_and_animation_are_named(as_png):
    with pytest.raises(ImageKindUnsupported) as caught:
        load_image(header_only(10, 10, 16), "seal", 36.0)
    assert caught.value.facts["kind"] == "16-bit"
    out = io.BytesIO()
    ring().save(out, "PNG", save_all=True, append_images=[ring(BLUE)])
    with pytest.raises(ImageKindUnsupported) as caught:
        load_image(out.getvalue(), "seal", 36.0)
    assert caught.value.facts["kind"] == "animated"


@pytest.mark.parametrize(
    "picture",
    [
        ring(background=(255, 255, 255, 255), inside=(255, 255, 255, 255)),
        ring(inside=(255, 255, 255, 255)),
        ring().convert("RGB"),
    ],
    ids=["white background", "white inside the ring", "no alpha at all"],
)
def test_a_picture_that_would_hide_what_is_under_it_is_refused(as_png, picture):
    with pytest.raises(ImageNotTransparent):
        load_image(as_png(picture), "seal", 36.0)


def test_an_empty_picture_is_refused(as_png):
    with pytest.raises(ImageBlank):
        load_image(as_png(Image.new("RGBA", (200, 200))), "signature", 45.0)


@pytest.mark.parametrize(
    ("colour", "purpose", "found"),
    [
        (BLUE, "seal", "blue"),
        (RED, "signature", "red"),
        ((0, 0, 0, 255), "signature", "black or grey"),
        ((0, 160, 60, 255), "seal", "green"),
    ],
)
def test_the_seal_is_red_and_the_signature_blue(as_png, colour, purpose, found):
    with pytest.raises(ImageColourWrong) as caught:
        load_image(as_png(ring(colour)), purpose, 36.0)
    assert caught.value.facts["found"] == found


def test_a_seal_that_is_not_round_has_no_diameter(as_png):
    with pytest.raises(ImageNotRound) as caught:
        load_image(as_png(ring(size=(400, 300))), "seal", 36.0)
    assert (caught.value.facts["width"], caught.value.facts["height"]) == ("360", "260")


def test_a_picture_is_checked_once_and_a_damaged_cache_is_not_believed(tmp_path: Path, seal_png):
    path, cache = tmp_path / "seal.png", tmp_path / "cache"
    path.write_bytes(seal_png)
    made = open_image(path, "seal", 36.0, cache)
    assert made == load_image(seal_png, "seal", 36.0)
    (kept,) = cache.iterdir()
    assert open_image(path, "seal", 38.0, cache).width_mm == 38.0
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-20] + b"\0" * 20)
    assert open_image(path, "seal", 36.0, cache) == made
    assert kept.read_bytes() == whole


def test_a_signature_accepted_once_does_not_pass_as_a_seal_by_the_cache(tmp_path: Path, signature_png):
    path = tmp_path / "picture.png"
    path.write_bytes(signature_png)
    open_image(path, "signature", 45.0, tmp_path / "cache")
    with pytest.raises(ImageColourWrong):
        open_image(path, "seal", 36.0, tmp_path / "cache")
