"""What training on many GPUs and many panoramas needs: measured bytes of this machine, the rest by arithmetic.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --panoramas 1e6 --gpus 1 8 --tflops 250

Nothing here ran on a GPU: ``--tflops`` is what one GPU is assumed to reach, not what it did.
"""

import argparse
import tracemalloc
from pathlib import Path

from rich.console import Console
from rich.table import Table

from panollava.ablation.cost import Sizes, stage_flops
from panollava.config import load_config
from panollava.data.manifest import PanoramaSamples, Sample, group_by_image
from panollava.training.loader import StagePlan

CONFIG = Path(__file__).parent.parent / "configs" / "quic360.yaml"


def manifest_bytes(questions: float, *, count: int = 20_000) -> float:
    """Measure what a panorama with its questions takes in every process: path, texts, ids."""
    tracemalloc.start()
    held = _panoramas(count, questions)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(held) == count
    return size / count


def plan_bytes(*, count: int = 100_000) -> float:
    """Measure what an epoch of the plan takes for each panorama, in every process."""
    tracemalloc.start()
    plan = StagePlan.make(count, batch_size=4, seed=0, steps=None, epochs=1, accumulation=1)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert plan.batches
    return size / count


def _panoramas(count: int, questions: float) -> list[PanoramaSamples]:
    samples = []
    for number in range(count):
        image = Path(f"/data/panoramas/{number // 1000:06d}/{number:09d}.jpg")
        for asked in range(round((number + 1) * questions) - round(number * questions)):
            query = f"what is to the {number}th left of object {asked}?" + " and what stands there" * 2
            answer = f"object {number + asked} with words of about the length of a caption, as people write them"
            samples.append(
                Sample(image, query, answer, "open", f"train:{number}:{asked}", image.name, "train.csv", number + 2)
            )
    return group_by_image(samples)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--panoramas", type=float, default=1e8, help="how many (default: 1e8)")
    parser.add_argument("--gpus", type=int, nargs="+", default=[8, 256])
    parser.add_argument("--questions", type=float, default=5.2, help="questions a panorama (QuIC-360: 5.2)")
    parser.add_argument("--text-tokens", type=int, default=60, help="tokens of a question with its answer")
    parser.add_argument("--tflops", type=float, default=250.0, help="reached by one GPU: an assumption")
    parser.add_argument("--jpeg-ms", type=float, default=20.0, help="CPU time of a panorama's file and views")
    parser.add_argument("--jpeg-mb", type=float, default=1.5, help="size of a panorama's file")
    parser.add_argument("--network", type=float, default=50.0, help="GB/s between machines, per GPU")
    options = parser.parse_args()
    console = Console(width=110)
    each_manifest, each_plan = manifest_bytes(options.questions), plan_bytes()
    console.print(
        f"measured, in every process: {each_manifest:,.0f} bytes of manifest a panorama, {each_plan:,.0f} of plan"
    )
    console.print(
        f"  {options.panoramas:,.0f} panoramas: {options.panoramas * (each_manifest + each_plan) / 1e9:,.0f} GB"
    )
    one = {"epochs": "null", "max_steps": 1, "batch_size": 1, "accumulation": 1}
    one["questions_per_panorama"] = max(1, round(options.questions))
    cfg = load_config(CONFIG, overrides=[f"stages.finetune.{key}={value}" for key, value in one.items()])
    sizes = Sizes.of(cfg)
    flops = stage_flops(cfg, cfg.stage("finetune"), text_tokens=options.text_tokens)
    assert flops is not None and sizes.patches is not None and sizes.vision is not None
    trained = 20e6
    features = sizes.patches * int(sizes.vision.config["hidden_size"]) * 2
    console.print(
        f"SigLIP-Base + Qwen2.5-0.5B, LoRA: {flops / 1e12:.2f} TFLOP a panorama, {features / 1e6:.1f} MB of features "
        f"(bfloat16)\n  all features: {options.panoramas * features / 1e12:,.0f} TB; all files: "
        f"{options.panoramas * options.jpeg_mb / 1e6:,.0f} TB"
    )
    table = Table(title=f"one epoch of {options.panoramas:,.0f} panoramas, by arithmetic")
    for head in ("GPUs", "panoramas/s", "hours", "CPU cores for files", "file GB/s", "gradient ms a step"):
        table.add_column(head, justify="right")
    for gpus in options.gpus:
        rate = gpus * options.tflops * 1e12 / flops
        exchange = 2 * (gpus - 1) / gpus * trained * 4 / (options.network * 1e9) * 1e3
        table.add_row(
            f"{gpus}",
            f"{rate:,.0f}",
            f"{options.panoramas / rate / 3600:,.1f}",
            f"{rate * options.jpeg_ms / 1e3:,.0f}",
            f"{rate * options.jpeg_mb / 1e3:,.1f}",
            f"{exchange:.1f}",
        )
    console.print(table)


if __name__ == "__main__":
    main()
