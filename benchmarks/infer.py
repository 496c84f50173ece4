"""Ask questions on one panorama together and one by one: ``python benchmarks/infer.py [--questions N] [--share N]``.

One by one is what a caller of Hugging Face's ``generate`` does: every question encodes the panorama, reads the whole
prompt and decodes alone. Together is ``PanoramaVLM.generate``: the panorama is encoded once, its prefix read once, and
all answers are decoded in one batch. Same weights, same thread, one fresh process each; the answers must be equal.
Answers have a fixed length, since random weights do not stop.
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


def one_by_one(model: Any, image: Path, questions: list[str], *, length: int) -> list[list[int]]:
    """Return the ids of each answer, each from the picture on."""
    import torch

    from panollava.data.views import stacked_views
    from panollava.text.chat import PLACEHOLDER_ID

    answers = []
    for question in questions:
        features = model.encode(stacked_views([image], model.layout))
        ids = torch.tensor([model.chat.prefix_ids(model.token_count) + model.chat.question_ids(question)])
        words, places = model.language.embed(ids), (ids == PLACEHOLDER_ID)[..., None]
        embedded = words.masked_scatter(places, model.vision_tokens(features).to(words.dtype))
        said = model.language.model.generate(
            inputs_embeds=embedded, attention_mask=torch.ones_like(ids), do_sample=False,
            min_new_tokens=length, max_new_tokens=length, eos_token_id=[-1], pad_token_id=0,
        )  # fmt: skip
        answers.append(said[0].tolist())
    return answers


def together(model: Any, image: Path, questions: list[str], *, length: int) -> list[list[int]]:
    """Return the ids of each answer, the panorama read once."""
    from panollava.data.views import stacked_views
    from panollava.models.decode import decode

    prefixes = model._prefixes(model.encode(stacked_views([image], model.layout)))
    rows = [(0, model.chat.question_ids(question)) for question in questions]
    return decode(model.language, prefixes, rows, stop_id=-1, max_new_tokens=length, batch_size=len(rows))


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Answer one way in this process; return CPU seconds, answers and peak memory."""
    import torch
    from scale import build, peak_mib, pictures, scratch, talks

    torch.set_num_threads(1)
    model = build(args.share, adapter=False)
    ways = {"one by one": one_by_one, "together": together}
    with scratch() as name, torch.inference_mode():
        [image] = pictures(Path(name), 1)
        questions = [query for query, _ in talks(1, per_image=args.questions, words=30)[0]][: args.questions]
        started = time.process_time()
        answers = ways[args.way](model, image, questions, length=args.length)
        seconds = time.process_time() - started
    return {"answers": answers, "seconds": seconds, "peak_mib": peak_mib()}


def main() -> None:
    """Print seconds and peak memory of both ways, and how many times quicker together is."""
    from scale import LANGUAGE_BLOCKS, VISION_BLOCKS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=int, default=4, help="keep 1/N of the blocks (default: 4; 1: all)")
    parser.add_argument("--questions", type=int, default=16, help="questions (default: 16)")
    parser.add_argument("--length", type=int, default=16, help="tokens of an answer (default: 16)")
    parser.add_argument("--way", choices=("one by one", "together"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        print(json.dumps(measure(args)))
        return
    print(
        f"{args.questions} questions, answers of {args.length} tokens; SigLIP-Base with {VISION_BLOCKS // args.share} "
        f"of {VISION_BLOCKS} blocks, Qwen2.5-0.5B with {LANGUAGE_BLOCKS // args.share} of {LANGUAGE_BLOCKS}, random "
        "float32 weights, one thread, CPU seconds"
    )
    found = {}
    for way in ("one by one", "together"):
        words = [sys.executable, __file__, "--way", way, "--share", args.share]
        words += ["--questions", args.questions, "--length", args.length]
        quiet = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        done = subprocess.run([*map(str, words)], capture_output=True, text=True, env=quiet, cwd=HERE)
        if done.returncode:
            sys.exit(done.stderr or f"the process of '{way}' ended with {done.returncode}: out of memory? See --help")
        found[way] = json.loads(done.stdout.splitlines()[-1])
        ratio = found["one by one"]["seconds"] / found[way]["seconds"]
        print(
            f"  {way:12} {found[way]['seconds']:8.2f} s  {ratio:5.2f}x  {found[way]['peak_mib']:6.0f} MiB", flush=True
        )
    equal = sum(a == b for a, b in zip(*(found[way]["answers"] for way in found), strict=True))
    print(f"  equal answers: {equal} of {args.questions}")
    if equal < args.questions:
        sys.exit("the answers differ")


if __name__ == "__main__":
    main()
