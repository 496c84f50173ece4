"""Make the pictures of the README and of docs/geometry.md with the library itself.

    python docs/make_images.py

The README's shows one training scene of SurroundQA as the default experiment sees it: a ring of eight views and the
whole panorama. The questions printed beside it are exact, because they come from the scene and not from the pixels.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from panollava.data.synthetic.raycast import render_erp
from panollava.data.synthetic.scene import sample_scene
from panollava.geometry import contact_sheet, e2p_ring, render_views

sys.path.insert(0, str(Path(__file__).parent))

from geometry_images import GEOMETRY_PICTURES

SEED, INDEX = 7, 39
"""The scene of the README: of the default experiment's seed, in the training split, with an object on the seam."""

ERP_HEIGHT, VIEW_PX, CELL_PX = 512, 224, 224
JPEG_QUALITY = 88
IMAGES = Path(__file__).parent / "images"


def surroundqa_views() -> UInt8[np.ndarray, "h w 3"]:
    """Return the contact sheet of the scene under the layout of the default experiment, RGB."""
    erp = render_erp(sample_scene(SEED, INDEX), height=ERP_HEIGHT, supersample=2).image
    layout = e2p_ring(hfov_deg=90, overlap=0.5, size_px=VIEW_PX, global_size_px=(480, 960))
    return contact_sheet(render_views(erp, layout), layout, columns=4, cell_px=CELL_PX)


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=IMAGES, metavar="DIR", help="folder (default: docs/images)")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, make in {"surroundqa_views.jpg": surroundqa_views, **GEOMETRY_PICTURES}.items():
        Image.fromarray(make()).save(args.out / name, quality=JPEG_QUALITY, optimize=True)


if __name__ == "__main__":
    main()
