"""Windows made smaller on a photograph: what halving first costs in each mode."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from panollava.geometry import render_views, resize

PHOTO = Path(__file__).parents[4] / "shared" / "panos" / "fishermans_bastion_2k.jpg"


@pytest.mark.skipif(not PHOTO.is_file(), reason=f"no photograph at {PHOTO}")
@pytest.mark.parametrize(("antialias", "least_db"), [("fast", 44.0), ("quality", 58.0)])
@pytest.mark.parametrize("size", [(96, 192), (150, 300), (224, 448), (336, 336)])
def test_halving_first_stays_close_to_the_exact_average(antialias, least_db, size):
    with Image.open(PHOTO) as file:
        erp = np.asarray(file.convert("RGB")).astype(np.float32)
    exact = cv2.resize(erp, size[::-1], interpolation=cv2.INTER_AREA)
    (image,) = render_views(erp, resize(size_px=size), antialias=antialias)
    error = np.mean((image - exact) ** 2)
    assert error == 0.0 or 10 * np.log10(255**2 / error) > least_db
