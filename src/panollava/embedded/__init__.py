"""The embedded backbones: a tiny SigLIP-class encoder and a tiny Qwen2-class language model.

Real Hugging Face classes with weights of the project's own recipe (``panollava data pretrain-embedded``), so that the
default experiment starts, as experiments at full size do, from pretrained parts. ``recipe.json`` beside the weights
tells how they were made, from which scenes (never those of the test split), and their hashes.
"""

from pathlib import Path

ROOT = Path(__file__).parent
VISION, LANGUAGE = ROOT / "vision", ROOT / "language"
