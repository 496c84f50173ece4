"""Make the embedded backbones: tokenizer, encoder, language model, and the recipe that tells how."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

import panollava
from panollava.embedded.corpus import PRETRAIN_SEED
from panollava.embedded.pretrain_language import BATCH, CURRICULUM_STEPS, QUESTIONS, Cycle, pretrain_language
from panollava.embedded.pretrain_vision import PANORAMAS, POOL_SCENES, VIEWS, pretrain_vision
from panollava.embedded.tokenizer import corpus_lines, train_tokenizer

logger = logging.getLogger(__name__)

LANGUAGE_CYCLES = (Cycle(2000, 2e-3), Cycle(2000, 1.5e-3, stop=750), Cycle(700, 1.2e-3))
VISION_STEPS, TOKENIZER_SCENES = 2600, 1500
RECIPE = "recipe.json"


def pretrain(
    out: Path,
    *,
    cycles: Sequence[Cycle] = LANGUAGE_CYCLES,
    vision_steps: int = VISION_STEPS,
    scenes: int = TOKENIZER_SCENES,
) -> None:
    """Write ``out/language``, ``out/vision`` and ``out/recipe.json``; hours on two CPU cores.

    Args:
        out: Folder to write.
        cycles: Training of the language model.
        vision_steps: Batches of the encoder.
        scenes: Scenes whose text trains the tokenizer.
    """
    from transformers import AutoTokenizer

    words = out / "language" / "tokenizer"
    words.mkdir(parents=True, exist_ok=True)
    train_tokenizer(corpus_lines(scenes), words)
    tokenizer = AutoTokenizer.from_pretrained(words)
    losses = {
        "language": pretrain_language(out / "language", cycles=cycles),
        "vision": pretrain_vision(out / "vision", tokenizer=tokenizer, steps=vision_steps),
    }
    write_recipe(out, losses=losses, cycles=cycles, vision_steps=vision_steps, scenes=scenes)


def pretrain_quick(out: Path) -> None:
    """Run the recipe for two steps each, to see that it works."""
    pretrain(out, cycles=(Cycle(2, 1e-3),), vision_steps=2, scenes=40)


def write_recipe(
    out: Path, *, losses: dict[str, float], cycles: Sequence[Cycle], vision_steps: int, scenes: int
) -> None:
    """Write how the weights in ``out`` were made, and the sha256 of every file."""
    files = sorted(f for part in ("language", "vision") for f in (out / part).rglob("*") if f.is_file())
    recipe = {
        "made_by": "panollava data pretrain-embedded",
        "licence": "MIT, as the rest of panollava; trained on data that the project generates",
        "data": f"SurroundQA scenes of seed {PRETRAIN_SEED}, training split only (by hash of the scene)",
        "tokenizer": {"scenes": scenes},
        "language": {
            "cycles": [asdict(cycle) for cycle in cycles],
            "scenes_per_step": BATCH,
            "questions_per_scene": QUESTIONS,
            "steps_per_added_object": CURRICULUM_STEPS,
            "final_loss": losses["language"],
        },
        "vision": {
            "steps": vision_steps,
            "panoramas_per_step": PANORAMAS,
            "views_per_panorama": VIEWS,
            "rendered_scenes": POOL_SCENES,
            "final_loss": losses["vision"],
        },
        "versions": {"panollava": panollava.__version__, "torch": torch.__version__},
        "sha256": {str(f.relative_to(out)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files},
    }
    (out / RECIPE).write_text(json.dumps(recipe, indent=1) + "\n", encoding="utf-8")
