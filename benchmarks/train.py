"""Train with panollava and with the usual loop on the same rows: ``python benchmarks/train.py [--share N]``.

Both start from the same weights, see the same rows in the same order and use the same optimiser (AdamW, clipping at
1). Every figure comes from a fresh process with one thread; seconds are CPU seconds, so that other programs on the
machine do not count. The loss of every step is compared: the two must agree to 1e-3, or the benchmark stops.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
STAGES = {
    "resampler": ("resampler", "projector", "position"),
    "finetune": ("resampler", "projector", "position", "adapter"),
}
SHAPES = {3.1: "training split of QuIC-360", 5.2: "its references"}


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Train one way in this process; return seconds per phase, losses and peak memory."""
    import torch
    from scale import build, peak_mib, pictures, scratch, talks
    from train_loops import our_step, usual_step

    from panollava.data.feature_key import FeatureKey
    from panollava.data.features import FeatureStore
    from panollava.training.freeze import set_trainable

    torch.set_num_threads(1)
    model = build(args.share, adapter=args.stage == "finetune")
    set_trainable(model, STAGES[args.stage], vision_blocks=0)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3)
    count = args.batch * args.steps
    with scratch() as name:
        folder = Path(name)
        images, asked = pictures(folder, count), talks(count, per_image=args.per_image, words=30)
        store, encode = None, 0.0
        if args.way == "ours":
            key = FeatureKey("random weights", model.layout, layer=-1)
            store = FeatureStore(encode=model.encode, layout=model.layout, folder=folder / "features", key=key)
            started = time.process_time()
            with torch.inference_mode():
                store.fill(images)
            encode = time.process_time() - started
        losses, seconds = [], []
        for step in range(args.steps):
            part = slice(step * args.batch, (step + 1) * args.batch)
            started = time.process_time()
            if args.way == "ours":
                total, labels = our_step(model, images[part], asked[part], store=store)
            else:
                total, labels = usual_step(model, images[part], asked[part], rows=args.batch)
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            seconds.append(time.process_time() - started)
            losses.append(total / labels)
    rows = sum(map(len, asked))
    return {"rows": rows, "encode": encode, "seconds": seconds, "losses": losses, "peak_mib": peak_mib()}


def compare(stage: str, per_image: float, args: argparse.Namespace) -> None:
    """Run both ways and print a line for each, with the ratios."""
    found = {}
    for way in ("usual", "ours"):
        words = [sys.executable, __file__, "--way", way, "--stage", stage, "--per-image", per_image]
        words += ["--share", args.share, "--batch", args.batch, "--steps", args.steps]
        quiet = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        done = subprocess.run([*map(str, words)], capture_output=True, text=True, env=quiet, cwd=HERE)
        if done.returncode:
            sys.exit(done.stderr or f"the process of '{way}' ended with {done.returncode}: out of memory? See --help")
        found[way] = json.loads(done.stdout.splitlines()[-1])
    usual, ours = found["usual"], found["ours"]
    apart = max(abs(a - b) / b for a, b in zip(ours["losses"], usual["losses"], strict=True))
    if apart > 1e-3:
        sys.exit(f"the losses differ by {apart:.1e}: {ours['losses']} and {usual['losses']}")
    base = usual["rows"] / sum(usual["seconds"])
    print(f"\nstage {stage}, {per_image} rows per panorama ({SHAPES[per_image]}); losses agree to {apart:.0e}")
    lines = {
        "usual loop": (base, usual["peak_mib"]),
        "panollava, features kept": (ours["rows"] / sum(ours["seconds"]), ours["peak_mib"]),
        "panollava, first epoch": (ours["rows"] / (sum(ours["seconds"]) + ours["encode"]), ours["peak_mib"]),
    }
    for name, (rate, peak) in lines.items():
        print(f"  {name:26} {rate:7.3f} rows/s  {rate / base:5.2f}x  {peak:6.0f} MiB", flush=True)


def main() -> None:
    """Print rows per second and peak memory of both ways, per stage and shape of data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=int, default=4, help="keep 1/N of the blocks (default: 4; 1: all)")
    parser.add_argument(
        "--batch", type=int, default=4, help="panoramas of a step, and rows at a time of the usual loop"
    )
    parser.add_argument("--steps", type=int, default=2, help="optimiser steps")
    parser.add_argument("--way", choices=("usual", "ours"), help=argparse.SUPPRESS)
    parser.add_argument("--stage", choices=STAGES, help="one stage only")
    parser.add_argument("--per-image", type=float, choices=SHAPES, help="one shape of data only")
    args = parser.parse_args()
    if args.way:
        print(json.dumps(measure(args)))
        return
    from scale import LANGUAGE_BLOCKS, VISION_BLOCKS

    print(
        f"SigLIP-Base with {VISION_BLOCKS // args.share} of {VISION_BLOCKS} blocks, Qwen2.5-0.5B with "
        f"{LANGUAGE_BLOCKS // args.share} of {LANGUAGE_BLOCKS} and its whole vocabulary, random float32 weights, "
        f"9 views, one thread; rows per CPU second"
    )
    for stage in [args.stage] if args.stage else STAGES:
        for per_image in [args.per_image] if args.per_image else SHAPES:
            compare(stage, per_image, args)


if __name__ == "__main__":
    main()
