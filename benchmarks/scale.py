"""What the speed benchmarks run on: a model of real dimensions with random weights, and data of QuIC-360's shape.

SigLIP-Base (width 768, 12 heads, patches of 16 px) and Qwen2.5-0.5B (width 896, 14 heads of which 2 keep keys, a
vocabulary of 151,936, tied) are built from their configurations; of their 12 and 24 blocks a share is kept. The views
are the default ones: a ring of eight and the panorama itself, 490 vision tokens after pooling.
"""

import itertools
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

VISION_BLOCKS, LANGUAGE_BLOCKS = 12, 24
VOCABULARY = 151_936
_TEXT = """
the a room with large window on left and wooden table in front of grey sofa there is are person standing near door that
leads to garden behind me white wall painting light hanging from ceiling floor carpet red chair what can be seen right
side describe objects street building car tree sky people walking along bridge water
"""
WORDS = tuple(_TEXT.split())


def encoder(depth: int) -> Any:
    """Return SigLIP-Base, cut to a number of blocks."""
    from transformers import SiglipVisionConfig, SiglipVisionModel

    from panollava.models.vision import VisionEncoder, contract_of

    config = SiglipVisionConfig(image_size=224, patch_size=16, num_hidden_layers=depth, vision_use_head=False)
    return VisionEncoder(SiglipVisionModel(config), contract_of(config))


def reader(depth: int) -> Any:
    """Return Qwen2.5-0.5B, cut to a number of blocks."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from panollava.models.attention import PACKED, register
    from panollava.models.language import LanguageModel

    register()
    config = Qwen2Config(
        vocab_size=VOCABULARY, hidden_size=896, intermediate_size=4864, num_hidden_layers=depth,
        num_attention_heads=14, num_key_value_heads=2, tie_word_embeddings=True, max_position_embeddings=32768,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6}, attn_implementation=PACKED,
    )  # fmt: skip
    return LanguageModel(Qwen2ForCausalLM(config))


def tokenizer() -> Any:
    """Return a small byte-level tokenizer with Qwen's chat template; the words are few, the vocabulary stays whole."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        [" ".join(WORDS)] * 8,
        trainers.BpeTrainer(vocab_size=2000, special_tokens=specials, initial_alphabet=alphabet, show_progress=False),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=template
    )


def build(share: int, *, adapter: bool) -> Any:
    """Return the composed model with 1/``share`` of the blocks of encoder and language model."""
    from panollava.geometry import build_layout
    from panollava.models.adapter import add_lora
    from panollava.models.positions.ray import RayPosition
    from panollava.models.projector import Projector
    from panollava.models.resamplers import build_resampler
    from panollava.models.vlm import PanoramaVLM
    from panollava.text.chat import chat_format

    torch.manual_seed(0)
    vision, language = encoder(VISION_BLOCKS // share), reader(LANGUAGE_BLOCKS // share)
    scale = language.embedding_rms()
    resampler = build_resampler("mlp", width=768, pool=2, hidden=None, queries=16, depth=2, heads=4)
    model = PanoramaVLM(
        layout=build_layout("e2p", hfov_deg=90.0, overlap=0.5, pitch_deg=0.0, size_px=224, global_size_px=(224, 448)),
        chat=chat_format(tokenizer()), vision=vision, resampler=resampler,
        projector=Projector(in_width=768, out_width=896, scale=scale),
        position=RayPosition(width=896, scale=scale), language=language,
    )  # fmt: skip
    if adapter:
        add_lora(language, r=16, alpha=32, dropout=0.0)
        for name, parameter in language.named_parameters():
            if "lora_B" in name:  # an adapter of zeros would hide half of the gradients
                torch.nn.init.normal_(parameter, std=1e-3)
    return model.eval()


def talks(panoramas: int, *, per_image: float, words: int, seed: int = 0) -> list[list[tuple[str, str]]]:
    """Return (query, answer) pairs of each panorama: ``per_image`` on average, 1 or more, answers of about ``words``.

    The whole numbers alternate so that their mean is as near to ``per_image`` as their number allows.
    """
    random = np.random.default_rng(seed)
    ends = [round(per_image * k) for k in range(panoramas + 1)]
    spread = [b - a for a, b in itertools.pairwise(ends)]
    for k in range(0, panoramas - 1, 2):  # neighbours trade a question, so that rows differ in length
        spread[k], spread[k + 1] = spread[k] - 1, spread[k + 1] + 1
    phrase = lambda n: " ".join(random.choice(WORDS, n))  # noqa: E731
    return [
        [(phrase(8), phrase(int(random.integers(words // 2, 3 * words // 2 + 1)))) for _ in range(k)] for k in spread
    ]


def pictures(folder: Path, panoramas: int) -> list[Path]:
    """Write noisy JPEG panoramas of 2048 x 1024 pixels."""
    from PIL import Image

    random, paths = np.random.default_rng(1), []
    for k in range(panoramas):
        coarse = Image.fromarray(random.integers(0, 256, (16, 32, 3), dtype=np.uint8))
        paths.append(folder / f"{k}.jpg")
        coarse.resize((2048, 1024), Image.Resampling.BICUBIC).save(paths[-1], quality=90)
    return paths


def peak_mib() -> float:
    """Return this program's peak memory; ru_maxrss would count the one that started it. Linux only."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def scratch() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that is removed afterwards."""
    return tempfile.TemporaryDirectory(prefix="panollava-bench-")
