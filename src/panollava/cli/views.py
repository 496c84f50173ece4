"""``panollava views``: what the model sees of one panorama."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panollava.cli.arguments import add_config_arguments, add_image_arguments, image_settings, read_config

if TYPE_CHECKING:
    from panollava.geometry import ViewLayout

LAYOUTS = ("e2p", "cubemap", "sliding", "resize", "anyres")
_SIZE_PX = 224


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("image", type=Path, metavar="PANORAMA", help="an equirectangular image, width = 2 x height")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="folder to write to (default: here)")
    parser.add_argument("--each", action="store_true", help="write every view as a PNG as well")
    parser.add_argument("--report", action="store_true", help="list the views, their angles and overlaps")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    layout = parser.add_argument_group("layout", "Each stands for a key of the section views of the configuration.")
    layout.add_argument("--layout", choices=LAYOUTS, help="kind of views (default: e2p)")
    layout.add_argument("--hfov-deg", type=float, metavar="DEG", help="horizontal field of view")
    layout.add_argument("--vfov-deg", type=float, metavar="DEG", help="vertical field of view (sliding)")
    layout.add_argument("--overlap", type=float, metavar="FRACTION", help="overlap of neighbours, 0 to below 1")
    layout.add_argument("--pitch-deg", type=float, metavar="DEG", help="pitch of the ring, up positive")
    layout.add_argument("--size-px", type=int, metavar="PX", help=f"side of a view (default: {_SIZE_PX})")
    layout.add_argument("--grid", type=int, nargs=2, metavar=("ROWS", "COLS"), help="tiles (anyres)")
    layout.add_argument("--no-global", action="store_true", help="leave out the view of the whole panorama")
    add_image_arguments(parser)
    add_config_arguments(parser, default=None)


def run(args: argparse.Namespace) -> int:
    """Write the contact sheet, and what else was asked for; print the paths."""
    args.settings = [*_settings(args), *image_settings(args), *args.settings]
    config = read_config(args)
    import numpy as np
    from PIL import Image

    from panollava.data.images import ImageOptions, open_with_options
    from panollava.geometry import build_layout, contact_sheet, render_views

    layout = build_layout(config.views.kind, **config.views.layout_options(encoder_size_px=_SIZE_PX))
    images = ImageOptions.from_settings(config.data.images)
    views = render_views(open_with_options(args.image, options=images), layout)
    args.out.mkdir(parents=True, exist_ok=True)

    pictures: dict[str, np.ndarray] = {"views": contact_sheet(views, layout)}
    if args.each:
        names = (view.name.replace(" ", "_").replace(",", "_") for view in layout.views)
        pictures |= dict(zip(names, views, strict=True))
    paths = [args.out / f"{args.image.stem}_{name}.png" for name in pictures]
    for path, picture in zip(paths, pictures.values(), strict=True):
        Image.fromarray(picture).save(path)

    if args.json:
        print(json.dumps(layout.report() | {"files": [str(path) for path in paths]}, indent=2))
        return 0
    if args.report:
        _print_report(layout)
    for path in paths:
        print(path)
    return 0


def _settings(args: argparse.Namespace) -> list[str]:
    """Return the options of the layout as settings, so that they are checked like those of a file."""
    given: dict[str, Any] = {
        "kind": args.layout,
        "hfov_deg": args.hfov_deg,
        "vfov_deg": args.vfov_deg,
        "overlap": args.overlap,
        "pitch_deg": args.pitch_deg,
        "size_px": args.size_px,
        "anyres_grid": args.grid,
        "global_view": False if args.no_global else None,
    }
    return [f"views.{key}={json.dumps(value)}" for key, value in given.items() if value is not None]


def _print_report(layout: "ViewLayout") -> None:
    print(f"{layout.name}: {len(layout.views)} views, {layout.coverage():.1%} of the sphere")
    print("  #  view              yaw    pitch    hfov    vfov   size (h x w)")
    for index, view in enumerate(layout.views):
        angles = "".join(f"{a:8.1f}" for a in (view.yaw_deg, view.pitch_deg, view.hfov_deg, view.vfov_deg))
        print(f"{index:3}  {view.name:<14}{angles}   {view.height_px} x {view.width_px}")
    pairs = ", ".join(f"{i}-{j}" for i, j in layout.overlap_pairs()) or "none"
    print(f"overlapping views: {pairs}")
