"""Frozen output of the official implementations; each file says how it was made ("about")."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def official(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}_official.json").read_text(encoding="utf-8"))


def random_captions(seed: int, items: int) -> tuple[list[str], list[list[str]]]:
    """Captions of few words, so that n-grams, stems and synonyms meet often; some predictions are empty."""
    import random

    words = [
        "a",
        "the",
        "red",
        "sofa",
        "couch",
        "chair",
        "chairs",
        "standing",
        "stands",
        "in",
        "front",
        "of",
        "window",
        "windows",
        "big",
        "large",
        "dog",
        "dogs",
        "man",
        "person",
        "runs",
        "running",
        "beside",
        "near",
        ".",
        ";",
        "'s",
        "isn't",
        "two",
    ]
    draw = random.Random(seed)

    def text(low: int) -> str:
        return " ".join(draw.choices(words, k=draw.randint(low, 14)))

    predictions = [text(0) if draw.random() > 0.1 else "" for _ in range(items)]
    return predictions, [["window " + text(0) for _ in range(draw.randint(1, 4))] for _ in range(items)]
