"""Thumbnails of stored images for galleries: made at the first request, cached in memory.

Images come from clients, so decoding is limited: four formats, a bounded number of pixels (read from the header first), two images at a time.
Without Pillow (the extra `thumbnails`) the stored file itself is sent.
"""

from __future__ import annotations

import io
import os
import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from cachetools import LRUCache
from gevent.threadpool import ThreadPool

from apiserver.common.fairness import in_thread
from apiserver.files.image_size import HEAD, image_size
from apiserver.files.problems import FileProblem
from apiserver.files.storage import OpenFile

SIZES = (128, 256, 512)
"""Sizes of thumbnails in pixels (the longer side); a requested size is rounded up to one of these."""
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
QUALITY = 80
AT_ONCE = 2
"""Images decoded at the same time."""
SMALL = 16 * 1024
"""Files of up to this many bytes are sent as they are: a thumbnail would not be smaller."""


class TooManyPixels(FileProblem):
    """The image has more pixels than `files.max_pixels`."""

    status = 422


class NotAnImage(FileProblem):
    """The file is damaged or not an image."""

    status = 415


class Thumbnails:
    """Makes and caches thumbnails."""

    def __init__(self, max_pixels: int, memory: int) -> None:
        """`max_pixels`: most pixels of an image that is decoded. `memory`: most bytes of cached thumbnails."""
        self._max_pixels = max_pixels
        self._kept: LRUCache[tuple[str, int], bytes] = LRUCache(memory, getsizeof=len)
        self._threads: ThreadPool | None = None
        self._has_pillow = find_spec("PIL") is not None

    def of(self, file: OpenFile, size: int) -> bytes | None:
        """A WebP of at most `size` by `size` pixels, or None: send the file itself. The descriptor stays open.

        Raises TooManyPixels, NotAnImage.
        """
        size = next((one for one in SIZES if one >= size), SIZES[-1])
        key = (file.etag, size)
        found = self._kept.get(key)
        if found is not None:
            return found
        dimensions = self.check(file)
        if dimensions is None:
            return None  # SVG and formats that are not decoded here
        if not self._has_pillow or (file.size <= SMALL and max(dimensions) <= 2 * size):
            return None
        if self._threads is None:
            self._threads = ThreadPool(AT_ONCE)
        made = in_thread(_small_copy, file.fd, size, self._max_pixels, pool=self._threads)
        if len(made) <= self._kept.maxsize:
            self._kept[key] = made
        return made

    def check(self, file: OpenFile) -> tuple[int, int] | None:
        """(width, height) from the file's header, or None. Decodes nothing. Raises TooManyPixels."""
        dimensions = image_size(in_thread(os.pread, file.fd, HEAD, 0))
        if dimensions is not None:
            _bound(dimensions, self._max_pixels)
        return dimensions


def _bound(dimensions: tuple[int, int], max_pixels: int) -> None:
    width, height = dimensions
    if width * height > max_pixels:
        raise TooManyPixels(f"the image has {width:,} × {height:,} pixels; at most {max_pixels:,} are shown (files.max_pixels)")


def _small_copy(fd: int, size: int, max_pixels: int) -> bytes:
    image_module: Any = import_module("PIL.Image")
    operations: Any = import_module("PIL.ImageOps")
    # Pillow allocates memory for some images when it opens them. It warns above its limit and raises above twice that.
    image_module.MAX_IMAGE_PIXELS = (max_pixels + 1) // 2
    warnings.filterwarnings("ignore", category=image_module.DecompressionBombWarning)
    try:
        with os.fdopen(os.dup(fd), "rb") as stream:
            stream.seek(0)
            with image_module.open(stream, formats=FORMATS) as image:
                # May differ from the header's size: a GIF's first frame may exceed its screen, and a second size in a PNG or JPEG replaces the first.
                _bound(image.size, max_pixels)
                image.draft("RGB", (size, size))  # JPEG: decodes at 1/2, 1/4 or 1/8 of the size if that is enough
                image.load()
                _bound(image.size, max_pixels)
                small = _plain(image)
                small.thumbnail((size, size))
                small = operations.exif_transpose(small)
                out = io.BytesIO()
                small.save(out, "WEBP", quality=QUALITY)
                return out.getvalue()
    except TooManyPixels:
        raise
    except image_module.DecompressionBombError as error:
        raise TooManyPixels(f"the image has more than {max_pixels:,} pixels (files.max_pixels)") from error
    except Exception as error:  # decoders raise many kinds of exceptions for damaged files
        raise NotAnImage(f"the image can't be read: {error}"[:300]) from error


def _plain(image: Any) -> Any:
    """The image with 8 bits a channel, as WebP needs; 16 bits are scaled, not truncated."""
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.mode == "P" or "A" in image.mode or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("RGB") if image.mode != "RGB" else image.copy()
