"""Small copies of images: right, small, and never more work than the limits allow."""

from __future__ import annotations

import io
import os
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
