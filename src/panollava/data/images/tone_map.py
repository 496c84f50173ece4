"""From linear light to 8-bit sRGB, by an operator that is named and never chosen silently.

With c a channel of the picture (negative values, which filters leave, count as 0)::

    reinhard   d = k c / (1 + k c)    k = 0.18 / exp(mean(log(1e-6 + Y)))    nothing reaches 1, so nothing is clipped
    exposure   d = 1 - exp(-c)        no statistics of the picture: equal light gives equal values in all files
    clip       d = min(c, 1)          for pictures that are already graded to 0..1; highlights above are lost

    byte = floor(255 OETF(d) + 1/2),  OETF(d) = 12.92 d where d <= 0.0031308, else 1.055 d^(1/2.4) - 0.055

`reinhard` is Reinhard et al., Photographic Tone Reproduction for Digital Images (SIGGRAPH 2002), equations 1 to 3
with key 0.18, on each channel; Y is the luminance of Rec. 709. `exposure` is the saturation of film. The transfer
function is that of sRGB (IEC 61966-2-1). Primaries are taken as those of sRGB; chromaticities are not applied.
"""

import numpy as np
from jaxtyping import Float, UInt8

from panollava.data.images.options import ToneMap
from panollava.errors import DataError

_KEY, _DARK = 0.18, 1e-6
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
_STRIP_ROWS = 64


def require_tone_map(tone_map: ToneMap | None, *, what: str) -> ToneMap:
    """Return the operator.

    Raises:
        DataError: None is named; the message names them.
    """
    if tone_map is None:
        raise DataError(
            f"{what} holds linear light, which has no single 8-bit picture. Name a tone map: tone_map='reinhard' "
            "(adapts to the picture), 'exposure' (the same for all files) or 'clip' (values above 1 are lost)."
        )
    return tone_map


def apply_tone_map(pixels: Float[np.ndarray, "h w 3"], *, tone_map: ToneMap) -> UInt8[np.ndarray, "h w 3"]:
    """Return the 8-bit sRGB picture of linear light, strip by strip.

    Args:
        pixels: Linear RGB, float16 or float32.
        tone_map: The operator.

    Raises:
        DataError: Pixels that are not finite; the message has their number.

    Example:
        >>> apply_tone_map(np.array([[[0.0, 0.5, 2.0]]], np.float32), tone_map="clip").tolist()
        [[[0, 188, 255]]]
    """
    broken = int(np.count_nonzero(~np.isfinite(pixels).all(axis=2)))
    if broken:
        raise DataError(
            f"{broken} of {pixels.shape[0] * pixels.shape[1]} pixels are not finite (infinity or NaN). Export the "
            "image again, or repair these pixels."
        )
    scale = np.float32(_KEY / _log_mean_luminance(pixels)) if tone_map == "reinhard" else np.float32(1)
    out = np.empty(pixels.shape, np.uint8)
    for top in range(0, len(pixels), _STRIP_ROWS):
        light = np.maximum(pixels[top : top + _STRIP_ROWS].astype(np.float32), 0)
        with np.errstate(over="ignore"):  # a product beyond float32 is white, as it should be
            shown = _shown(light * scale, tone_map=tone_map)
        out[top : top + _STRIP_ROWS] = 255 * encode_srgb(shown) + np.float32(0.5)
    return out


def _shown(light: Float[np.ndarray, "h w 3"], *, tone_map: ToneMap) -> Float[np.ndarray, "h w 3"]:
    if tone_map == "reinhard":
        return 1 - 1 / (1 + light)
    return -np.expm1(-light) if tone_map == "exposure" else np.minimum(light, 1)


def _log_mean_luminance(pixels: Float[np.ndarray, "h w 3"]) -> float:
    """Return the geometric mean of the luminance (equation 1), in float64."""
    total = 0.0
    for top in range(0, len(pixels), _STRIP_ROWS):
        luminance = np.maximum(pixels[top : top + _STRIP_ROWS].astype(np.float32), 0) @ _LUMINANCE
        total += float(np.log(_DARK + luminance.astype(np.float64)).sum())
    return float(np.exp(total / (pixels.shape[0] * pixels.shape[1])))


def encode_srgb(light: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Return the sRGB signal, 0 to 1, of linear light in 0 to 1.

    Example:
        >>> encode_srgb(np.array([0.0, 0.0031308, 1.0])).round(4).tolist()
        [0.0, 0.0404, 1.0]
    """
    high = 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, high)
