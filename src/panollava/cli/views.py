"""``panollava views``: what the model sees of one panorama."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panollava.cli.arguments import add_config_arguments, add_image_arguments, image_settings, read_config

if TYPE_CHECKING:
    from panollava.config.schema import PanollavaConfig
    from panollava.geometry import ViewLayout
    from panollava.models.sizes import EncoderSizes

LAYOUTS = ("e2p", "bands", "cubemap", "tangent", "sliding", "resize", "anyres")
_SIZE_PX = 224
_MOST_PAIRS = 24


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
    layout.add_argument("--pitches-deg", type=float, nargs="+", metavar="DEG", help="pitch of each ring (bands)")
    layout.add_argument("--tangent", choices=("icosahedron", "fibonacci"), help="how views are spread (tangent)")
    layout.add_argument("--count", type=int, metavar="N", help="number of views (tangent)")
    layout.add_argument("--pitch-deg", type=float, metavar="DEG", help="pitch of the ring, up positive")
    layout.add_argument("--size-px", type=int, metavar="PX", help=f"side of a view (default: {_SIZE_PX})")
    layout.add_argument("--grid", type=int, nargs=2, metavar=("ROWS", "COLS"), help="tiles (anyres)")
    layout.add_argument("--antialias", choices=("fast", "quality", "none"), help="against moire (default: fast)")
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

    sizes = _encoder_sizes(config) if args.config is not None else None
    layout = build_layout(
        config.views.kind, **config.views.layout_options(encoder_size_px=sizes.image_px if sizes else _SIZE_PX)
    )
    images = ImageOptions.from_settings(config.data.images, antialias=config.views.antialias)
    erp = open_with_options(args.image, options=images)
    views = render_views(erp, layout, antialias=images.antialias)
    args.out.mkdir(parents=True, exist_ok=True)

    pictures: dict[str, np.ndarray] = {"views": contact_sheet(views, layout)}
    if args.each:
        names = (view.name.replace(" ", "_").replace(",", "_") for view in layout.views)
        pictures |= dict(zip(names, views, strict=True))
    paths = [args.out / f"{args.image.stem}_{name}.png" for name in pictures]
    for path, picture in zip(paths, pictures.values(), strict=True):
        Image.fromarray(picture).save(path)

    tokens = _tokens(config, layout, sizes) if args.json or args.report else None
    report = layout.report(tokens=tokens)
    if args.json:
        print(json.dumps(report | {"files": [str(path) for path in paths]}, indent=2))
        return 0
    if args.report:
        print_report(layout, report, erp_width=erp.shape[1])
    for path in paths:
        print(path)
    return 0


def _encoder_sizes(config: "PanollavaConfig") -> "EncoderSizes | None":
    from panollava.models.sizes import encoder_sizes

    return encoder_sizes(config.vision.model)


def _tokens(config: "PanollavaConfig", layout: "ViewLayout", sizes: "EncoderSizes | None") -> tuple[int, ...] | None:
    if sizes is None:
        return None
    from panollava.models.sizes import tokens_per_view

    return tokens_per_view(config, layout, patch_px=sizes.patch_px)


def _settings(args: argparse.Namespace) -> list[str]:
    """Return the options of the layout as settings, so that they are checked like those of a file."""
    given: dict[str, Any] = {
        "kind": args.layout,
        "hfov_deg": args.hfov_deg,
        "vfov_deg": args.vfov_deg,
        "overlap": args.overlap,
        "pitch_deg": args.pitch_deg,
        "pitches_deg": args.pitches_deg,
        "tangent": args.tangent,
        "count": args.count,
        "antialias": args.antialias,
        "size_px": args.size_px,
        "anyres_grid": args.grid,
        "global_view": False if args.no_global else None,
    }
    return [f"views.{key}={json.dumps(value)}" for key, value in given.items() if value is not None]


def print_report(layout: "ViewLayout", report: dict[str, Any], *, erp_width: int) -> None:
    """Print what a layout sees: views with their angles and densities, overlaps, coverage, tokens."""
    from panollava.geometry.antialias import minification

    counts = report["tokens_per_panorama"]
    cost = "tokens are known with --config" if counts is None else f"{counts:,} tokens a panorama"
    print(f"{layout.name}: {len(layout.views)} views, {layout.coverage():.1%} of the sphere, {cost}")
    widest = max(len(view.name) for view in layout.views)
    tail = "" if counts is None else "  tokens"
    print(f"  #  {'view':<{widest}}     yaw   pitch    hfov    vfov   h x w px   px/deg  shrinks{tail}")
    for index, (view, facts) in enumerate(zip(layout.views, report["views"], strict=True)):
        angles = "".join(f"{a:8.1f}" for a in (view.yaw_deg, view.pitch_deg, view.hfov_deg, view.vfov_deg))
        shrinks = minification(view, height=erp_width // 2, width=erp_width)
        size = f"{view.height_px} x {view.width_px}"
        line = f"{index:3}  {view.name:<{widest}}{angles}  {size:>9}  {view.pixels_per_degree:7.2f}  {shrinks:6.2f}x"
        print(line if counts is None else f"{line}  {facts['tokens']:6}")
    pairs = [f"{i}-{j}" for i, j in report["overlap_pairs"]]
    shares = report["overlap_iou"]
    listed = f": {', '.join(pairs)}" if len(pairs) <= _MOST_PAIRS else " (--json lists them)"
    told = f"{len(pairs)} pairs, IoU {min(shares):.2f} to {max(shares):.2f}{listed}" if pairs else "none"
    print(f"overlapping views: {told}")
