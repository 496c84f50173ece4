"""Panorama files: whole, upright, 8-bit RGB, width = 2 x height, or an error that says why not.

::

    bytes -> limits -> reader by first bytes -> upright -> its place on the sphere -> level horizon
             options   jpeg raster hdr          upright    gpano, placement           gpano
"""

from panollava.data.images.open import open_panorama, open_with_options
from panollava.data.images.options import DEFAULT_OPTIONS, MAX_BYTES, MAX_PIXELS, ImageOptions, Pose, ToneMap
from panollava.data.images.upright import upright

__all__ = [
    "DEFAULT_OPTIONS",
    "MAX_BYTES",
    "MAX_PIXELS",
    "ImageOptions",
    "Pose",
    "ToneMap",
    "open_panorama",
    "open_with_options",
    "upright",
]
