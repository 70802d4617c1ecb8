"""Small pictures of captured images, kept in memory by digest."""

from __future__ import annotations

import io
from functools import lru_cache

from acqplan.campaign.images import Images
from acqplan.errors import ImageError

EDGE = 200
"""Pixels of the longer side: twice what the page shows, for sharp screens."""

KEPT = 500
QUALITY = 80
KIND = "image/jpeg"


class Thumbnails:
    """Draws thumbnails of a campaign's images.

    Args:
        images: The images.
    """

    def __init__(self, images: Images) -> None:
        self._images = images
        self._drawn = lru_cache(maxsize=KEPT)(self._draw)

    def of(self, digest: str, name: str) -> bytes:
        """A thumbnail as a JPEG file.

        Args:
            digest: Of the image; the same digest is drawn once.
            name: Where it lies in the folder of images.

        Raises:
            ImageError: If the image is lost.
        """
        return self._drawn(digest, name)

    def _draw(self, digest: str, name: str) -> bytes:
        from PIL import Image

        content, file = self._images.read(name), io.BytesIO()
        try:
            with Image.open(io.BytesIO(content)) as image:
                image.draft("RGB", (2 * EDGE, 2 * EDGE))
                image.thumbnail((EDGE, EDGE))
                image.convert("RGB").save(file, format="JPEG", quality=QUALITY)
        except Exception as error:  # a decoder raises whatever it stumbles over
            raise ImageError(f"{name}: cannot be drawn small ({type(error).__name__})", "look at the image") from error
        return file.getvalue()
