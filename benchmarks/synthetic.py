"""How fast SurroundQA is written, and how much of it can be answered without looking.

    python benchmarks/synthetic.py                  panoramas per second, CPU time per panorama
    python benchmarks/synthetic.py --blind 4000     accuracy of two text-only readers, by kind of question

On a machine that does other work, wall time means little; CPU seconds per panorama are printed too. Importing
is part of the wall time of a pool, as it is for a user.
"""

import argparse
import os
import platform
import resource
import tempfile
import time
from pathlib import Path

from panollava.data.synthetic.blind import blind_scores
from panollava.data.synthetic.questions import Question, QuestionSampler
from panollava.data.synthetic.scene import sample_scene
from panollava.data.synthetic.vocabulary import SPLITS
from panollava.data.synthetic.write import synthesize


def main() -> None:
    """Print the rate of writing, or the blind check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="panoramas to write (default: 200)")
    parser.add_argument("--width", type=int, default=512, help="their width in pixels (default: 512)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="processes (default: 1 and 2)")
    parser.add_argument("--blind", type=int, metavar="SCENES", help="check for leaks over so many scenes")
    args = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
    if args.blind:
        report_leaks(args.blind)
    else:
        report_speed(count=args.count, width=args.width, workers=args.workers)


def report_speed(*, count: int, width: int, workers: list[int]) -> None:
    print(f"{count} panoramas of {width} x {width // 2}, 2 x 2 rays per pixel, JPEG and tables on disk")
    print(f"{'workers':>8} {'wall s':>8} {'CPU s':>8} {'CPU s/pano':>11} {'pano/s':>8} {'pano/CPU s':>11}")
    for number in workers:
        with tempfile.TemporaryDirectory() as folder:
            start, cpu = time.perf_counter(), cpu_seconds()
            synthesize(Path(folder) / "data", count=count, seed=7, width=width, workers=number)
            wall, used = time.perf_counter() - start, cpu_seconds() - cpu
        rates = f"{used / count:11.4f} {count / wall:8.1f} {count / used:11.1f}"
        print(f"{number:8d} {wall:8.2f} {used:8.2f} {rates}")


def report_leaks(scenes: int) -> None:
    samplers = {split: QuestionSampler(7) for split in SPLITS}
    asked: dict[str, list[Question]] = {split: [] for split in SPLITS}
    for index in range(scenes):
        scene = sample_scene(7, index)
        asked[scene.split] += samplers[scene.split].draw(scene, count=24)
    print(f"{scenes} scenes, {len(asked['train'])} training and {len(asked['test'])} test questions; per cent")
    print(f"{'kind':12} {'tested':>6} {'chance':>7} {'commonest':>10} {'majority':>9} {'words':>7} {'leak':>7}")
    for kind, score in blind_scores(asked["train"], asked["test"]).items():
        figures = (score.chance, score.commonest, score.majority, score.words, score.leak)
        chance, commonest, majority, words, leak = (100.0 * figure for figure in figures)
        readers = f"{majority:9.1f} {words:7.1f} {leak:+7.1f}"
        print(f"{kind:12} {score.questions:6d} {chance:7.1f} {commonest:10.1f} {readers}")


def cpu_seconds() -> float:
    """CPU time of this process and of its finished children."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


if __name__ == "__main__":
    main()
