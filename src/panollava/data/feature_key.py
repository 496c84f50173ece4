"""What features depend on besides the panorama: if any of it changes, they are others."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from panollava.data.images import DEFAULT_OPTIONS, ImageOptions
from panollava.data.views import views_of
from panollava.geometry import ViewLayout

FORMAT = "3"
"""Raise it when the files of the store change."""


@dataclass(frozen=True, slots=True)
class FeatureKey:
    """Encoder, views and precision of features.

    Attributes:
        weights: Hash of the encoder's weights.
        layout: The views.
        layer: Hidden state of the encoder that is taken.
        reading: What features depend on beside weights and views, such as normalisation; a plain tree.
        dtype: Number type in which features are kept.
        images: How files are read and rendered.

    Example:
        >>> from panollava.geometry import cubemap
        >>> key = FeatureKey("0123456789abcdef0123", cubemap(size_px=8), layer=-1)
        >>> key.name().startswith("0123456789abcdef-"), key.name().endswith("-level-fast")
        (True, True)
    """

    weights: str
    layout: ViewLayout
    layer: int
    reading: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "float32"
    images: ImageOptions = DEFAULT_OPTIONS

    def facts(self) -> dict[str, str]:
        """Return every part as text."""
        return {
            "format": FORMAT,
            "weights": self.weights,
            "layout": _hash(json.dumps(self.layout.to_dict(), sort_keys=True).encode()),
            "layer": str(self.layer),
            "reading": _hash(json.dumps(self.reading, sort_keys=True, default=str).encode()),
            "dtype": self.dtype,
            "images": self.images.signature(),
            "rendering": rendering(self.layout, images=self.images),
        }

    def name(self) -> str:
        """Return a folder's name that differs where any part does."""
        facts = json.dumps(self.facts(), sort_keys=True)
        return f"{self.weights[:16]}-{_hash(facts.encode())[:12]}-{self.images.signature()}"


def rendering(layout: ViewLayout, *, images: ImageOptions) -> str:
    """Return a hash of the views of a fixed picture: another renderer that draws other pixels has another one."""
    rows, columns = np.mgrid[0:256, 0:512]
    picture = np.stack([rows ^ columns, rows * columns >> 6, columns >> 1], axis=-1).astype(np.uint8)
    views = views_of(picture, layout, antialias=images.antialias)
    return _hash(b"".join(group.numpy().tobytes() for group in views))


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]
