"""Small copies of images: right, small, and never more work than the limits allow."""

from __future__ import annotations

import io
import os
import resource
import struct
import zlib
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from PIL import Image

from apiserver.files import thumbnails
from apiserver.files.image_size import image_size
from apiserver.files.storage import OpenFile
from tests.files.helpers import get, upload
from tests.process import Server
from tests.web.runs import png


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """An image that no format makes small."""
    size = width * height * {"L": 1, "RGB": 3, "RGBA": 4, "I;16": 2}[mode]
    return Image.frombytes(mode, (width, height), os.urandom(size))


def encoded(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def small(server: Server, name: str, pixels: object = 256, **headers: str) -> requests.Response:
    return requests.get(f"{server.url}/files{quote(name)}?thumb={pixels}", headers=headers, timeout=30)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_small_copy_is_small_and_is_not_sent_twice(files: Server, name: str, kind: str) -> None:
    upload(files, name, encoded(noise(600, 300), kind))
    answer = small(files, name)
    assert answer.headers["Content-Type"] == "image/webp"
    with Image.open(io.BytesIO(answer.content)) as copy:
        assert copy.size == (256, 128)
    assert len(answer.content) < 30_000
    assert small(files, name, **{"If-None-Match": answer.headers["ETag"]}).status_code == 304
    upload(files, name, encoded(noise(300, 600), kind))
    with Image.open(io.BytesIO(small(files, name, **{"If-None-Match": answer.headers["ETag"]}).content)) as copy:
        assert copy.size == (128, 256)


def test_sixteen_bits_are_scaled_and_transparency_stays(files: Server, name: str) -> None:
    grey = Image.new("I;16", (700, 700), 32768)
    grey.paste(65535, (0, 0, 350, 700))
    content = encoded(grey, "PNG") + os.urandom(20_000)  # bytes behind the end mean nothing
    upload(files, name, content)
    with Image.open(io.BytesIO(small(files, name).content)) as copy:
        assert 120 <= copy.convert("L").getpixel((200, 100)) <= 136  # type: ignore[operator]
        assert copy.convert("L").getpixel((30, 100)) >= 250  # type: ignore[operator]
    clear = noise(400, 400, "RGBA")
    clear.putalpha(0)
    upload(files, name, encoded(clear, "PNG"))
    with Image.open(io.BytesIO(small(files, name).content)) as copy:
        assert copy.mode == "RGBA" and copy.getpixel((5, 5))[3] == 0  # type: ignore[index]


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(files: Server, name: str) -> None:
    bomb = bytearray(png(8, 8))
    bomb[16:24] = (30_000).to_bytes(4, "big") * 2
    upload(files, name, bytes(bomb))
    answer = small(files, name)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("the image has 30,000 × 30,000 pixels")
    assert get(files, name).content == bytes(bomb), "the file itself can be had"


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def two_sizes(kind: str, size: tuple[int, int]) -> bytes:
    """An image whose head says 1 × 1, and whose content, as far as a decoder sees it, has `size`."""
    width, height = size
    if kind == "GIF":
        frame = b"!\xf9\x04\x08\0\0\0\0"  # Pillow fills the place of a frame that is to be removed
        frame += b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x08" + b"\xff" + os.urandom(255) + b"\0;"
        return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff" + frame
    if kind == "PNG":
        heads = [png_chunk(b"IHDR", struct.pack(">IIBBBBB", *pair, 8, 2, 0, 0, 0)) for pair in ((1, 1), size)]
        return b"\x89PNG\r\n\x1a\n" + b"".join(heads) + png_chunk(b"IDAT", zlib.compress(b"\0" * 10_000)) + png_chunk(b"IEND", b"")
    if kind == "JPEG":
        plain = encoded(Image.new("RGB", (8, 8)), "JPEG")
        at = plain.index(b"\xff\xc0")
        frame = plain[at : at + 19]
        heads = [frame[:5] + struct.pack(">HH", *pair) + frame[9:] for pair in ((1, 1), (height, width))]
        return plain[:at] + b"".join(heads) + plain[at + 19 :]
    whole = encoded(Image.new("RGBA", size), "WEBP")  # with a canvas and, after it, a bitstream of its own size
    chunks = whole[12:]
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\0" * 10
    return b"RIFF" + struct.pack("<I", 4 + len(canvas) + len(chunks)) + b"WEBP" + canvas + chunks


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_the_size_that_counts_is_that_of_what_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """A head of 1 × 1 let 178 million pixels through."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # Pillow's own is set, for the process
    limit = 1_000_000
    path = tmp_path / "x"
    for size in ((1100, 1000), (12_000, 12_000), (16_000, 16_000)):
        if kind == "WEBP" and size != (1100, 1000):
            continue  # takes long to make
        content = two_sizes(kind, size)
        assert image_size(content) == (1, 1)
        path.write_bytes(content + os.urandom(thumbnails.SMALL))  # else the file itself would be sent
        with path.open("rb") as stream:
            file = OpenFile(stream.fileno(), path.stat().st_size, 0.0, "etag")
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            # libwebp refuses a bitstream that does not have the size of its canvas.
            with pytest.raises(thumbnails.NotAnImage if kind == "WEBP" else thumbnails.TooManyPixels):
                thumbnails.Thumbnails(limit, 1_000_000).of(file, 256)
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "PPM", "TGA", "PCX", "ICO", "JPEG2000", "DDS", "SGI"])
def test_other_formats_are_never_decoded(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.png"
    try:
        path.write_bytes(encoded(noise(200, 200), kind))
    except (KeyError, OSError):
        pytest.skip(f"this Pillow writes no {kind}")
    with path.open("rb") as stream:
        file = OpenFile(stream.fileno(), path.stat().st_size, 0.0, "etag")
        assert thumbnails.Thumbnails(1_000_000, 1_000_000).of(file, 128) is None


def test_what_is_no_image_or_needs_no_copy_is_sent_as_it_is(files: Server, name: str) -> None:
    drawing = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    upload(files, name + ".svg", drawing)
    answer = small(files, name + ".svg")
    assert answer.content == drawing and "sandbox" in answer.headers["Content-Security-Policy"]
    upload(files, name, png(64, 64))
    assert small(files, name).content == png(64, 64)


def test_a_damaged_image_says_so(files: Server, name: str) -> None:
    content = encoded(noise(400, 400), "PNG")
    upload(files, name, content[:100] + b"\0" * 50_000)
    answer = small(files, name)
    assert answer.status_code == 415 and answer.json()["detail"].startswith("the image can't be read")


@pytest.mark.parametrize("asked", ["", "x", "-1", "1e9", "٣", "999999"])
def test_a_size_that_is_none_is_refused(files: Server, name: str, asked: str) -> None:
    upload(files, name, png(8, 8))
    assert small(files, name, asked).status_code == 400


def test_sizes_are_read_from_the_head() -> None:
    for kind in ("PNG", "JPEG", "WEBP", "GIF"):
        assert image_size(encoded(noise(123, 45), kind)) == (123, 45), kind
        assert image_size(encoded(noise(123, 45), kind)[:8]) is None
    out = io.BytesIO()
    noise(123, 45).save(out, "WEBP", lossless=True)
    assert image_size(out.getvalue()) == (123, 45)
    out = io.BytesIO()
    noise(123, 45, "RGBA").save(out, "WEBP", exif=b"Exif\0\0x")
    assert image_size(out.getvalue()) == (123, 45)
    out = io.BytesIO()
    noise(123, 45).save(out, "JPEG", progressive=True, comment=b"x" * 60_000)
    assert image_size(out.getvalue()) == (123, 45)
    for seed in range(300):  # whatever bytes come, it answers
        for magic in (b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8X", b"\xff\xd8\xff"):
            image_size(magic + os.urandom(seed))


def test_without_pillow_files_are_sent_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "find_spec", lambda name: None)
    path = tmp_path / "x.png"
    path.write_bytes(encoded(noise(600, 300), "PNG"))
    with path.open("rb") as stream:
        file = OpenFile(stream.fileno(), path.stat().st_size, 0.0, "etag")
        assert thumbnails.Thumbnails(1_000_000, 1_000_000).of(file, 256) is None
        with pytest.raises(thumbnails.TooManyPixels):
            thumbnails.Thumbnails(1_000, 1_000_000).of(file, 256)
