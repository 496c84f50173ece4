"""Make the embedded backbones: tokenizer, encoder, language model, and the recipe that tells how."""

import hashlib
import json
import logging
from pathlib import Path

import torch

import panollava
from panollava.embedded.corpus import PRETRAIN_SEED
from panollava.embedded.pretrain_language import BATCH, CURRICULUM_STEPS, QUESTIONS, pretrain_language
from panollava.embedded.pretrain_vision import PANORAMAS, POOL_SCENES, VIEWS, pretrain_vision
from panollava.embedded.tokenizer import corpus_lines, train_tokenizer

logger = logging.getLogger(__name__)

LANGUAGE_STEPS, VISION_STEPS, TOKENIZER_SCENES = 2000, 2600, 1500
RECIPE = "recipe.json"


def pretrain(
    out: Path, *, language_steps: int = LANGUAGE_STEPS, vision_steps: int = VISION_STEPS, scenes: int = TOKENIZER_SCENES
) -> None:
    """Write ``out/language``, ``out/vision`` and ``out/recipe.json``; about two hours on two CPU cores.

    Args:
        out: Folder to write.
        language_steps: Batches of the language model.
        vision_steps: Batches of the encoder.
        scenes: Scenes whose text trains the tokenizer.
    """
    from transformers import AutoTokenizer

    words = out / "language" / "tokenizer"
    words.mkdir(parents=True, exist_ok=True)
    train_tokenizer(corpus_lines(scenes), words)
    tokenizer = AutoTokenizer.from_pretrained(words)
    losses = {
        "language": pretrain_language(out / "language", steps=language_steps),
        "vision": pretrain_vision(out / "vision", tokenizer=tokenizer, steps=vision_steps),
    }
    write_recipe(out, losses=losses, language_steps=language_steps, vision_steps=vision_steps, scenes=scenes)


def write_recipe(
    out: Path, *, losses: dict[str, float], language_steps: int, vision_steps: int, scenes: int
) -> None:
    """Write how the weights in ``out`` were made, and the sha256 of every file."""
    files = sorted(f for part in ("language", "vision") for f in (out / part).rglob("*") if f.is_file())
    recipe = {
        "made_by": "panollava data pretrain-embedded",
        "licence": "MIT, as the rest of panollava; trained on data that the project generates",
        "data": f"SurroundQA scenes of seed {PRETRAIN_SEED}, training split only (by hash of the scene)",
        "tokenizer": {"scenes": scenes},
        "language": {
            "steps": language_steps,
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
