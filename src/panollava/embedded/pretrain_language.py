"""Pretrain the embedded language model: language modelling on SurroundQA's text, no image anywhere.

A scene is told to the LM as a list of *glimpses*: each a bag of words (``large shiny red cube near level 045 front
right``) whose embeddings are pooled into one position. Behind them stand the questions and captions of the scene, whose
answers are modelled. So the LM learns English of this world, and to look things up in a list of pooled phrases: the
shape in which a resampler will hand it what an encoder sees. Aligning pixels with these phrases is left to training.
"""

import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from panollava.data.pack import PackedText, pack, placeholder_mask
from panollava.data.synthetic.questions import QuestionSampler
from panollava.data.synthetic.scene import MAX_OBJECTS, Scene
from panollava.embedded.corpus import PRETRAIN_SEED, conversation, glimpses, training_scenes
from panollava.embedded.optimise import pretrain_optimizers, set_rate, update, warm_cosine
from panollava.models.language import LanguageModel, tokenizer_source
from panollava.text.chat import ChatFormat, chat_format

logger = logging.getLogger(__name__)

HIDDEN, LAYERS, HEADS, FEED_FORWARD = 192, 4, 6, 512
QUESTIONS, BATCH = 14, 8
CURRICULUM_STEPS = 40
SCENES_PER_CYCLE = 1_000_000
MAX_OFFSET = 200
"""Branches start at a random place up to here, so that prefixes of any length up to it are readable."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """One warm-up and cosine of ``steps`` batches to the peak rate ``lr``, broken off after ``stop`` (None: never)."""

    steps: int
    lr: float
    stop: int | None = None


def new_language_model(vocabulary: int, *, pad_id: int, eos_id: int) -> Any:
    """Return a randomly initialised Qwen2 of the embedded size (1.8 M parameters, tied embeddings)."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        intermediate_size=FEED_FORWARD,
        max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=True,
        pad_token_id=pad_id,
        eos_token_id=eos_id,
        bos_token_id=None,
        attn_implementation="sdpa",
    )
    model = Qwen2ForCausalLM(config)
    start_associative(model)
    return model


@torch.no_grad()
def start_associative(model: Any, *, sharpness: float = 1.3, gain: float = 0.02) -> None:
    """Start every attention layer as a lookup by content: like attends to like, and copies what it finds.

    Query and key projections start equal and orthogonal, the output projection as the transpose of the value
    projection (after Trockman and Kolter 2023, "Mimetic initialization of self-attention layers").
    """
    torch.nn.init.normal_(model.get_input_embeddings().weight, std=gain)
    for layer in model.model.layers:
        attention = layer.self_attn
        torch.nn.init.orthogonal_(attention.q_proj.weight, gain=sharpness)
        attention.k_proj.weight.copy_(attention.q_proj.weight)
        torch.nn.init.orthogonal_(attention.v_proj.weight)
        attention.o_proj.weight.copy_(gain * attention.v_proj.weight.T)


def pretrain_language(folder: Path, *, cycles: Sequence[Cycle], save_every: int = 250) -> float:
    """Train on fresh scenes, save to ``folder`` (which holds ``tokenizer``); return the running mean of the loss.

    Args:
        folder: Folder of the model.
        cycles: Warm-up and cosine, one after the other; each starts from the saved (half precision) weights of the
            one before, with new optimiser state and scenes of its own.
        save_every: Batches between two savings.
    """
    from transformers import AutoTokenizer

    torch.manual_seed(PRETRAIN_SEED)
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_source(folder))
    chat = chat_format(tokenizer)
    model = new_language_model(len(tokenizer), pad_id=tokenizer.pad_token_id, eos_id=tokenizer.eos_token_id)
    mean = math.nan
    for number, cycle in enumerate(cycles):
        mean = _run_cycle(model, chat, cycle, number=number, folder=folder, save_every=save_every)
    return mean


def _run_cycle(model: Any, chat: ChatFormat, cycle: Cycle, *, number: int, folder: Path, save_every: int) -> float:
    language = LanguageModel(model)
    optimizers = pretrain_optimizers(model, lr=cycle.lr)
    batches = _batches(chat, language, number=number)
    mean, started = math.nan, time.monotonic()
    last = cycle.stop or cycle.steps
    for step in range(1, last + 1):
        set_rate(optimizers, cycle.lr * warm_cosine(step, cycle.steps))
        embeddings, text = next(batches)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits, labels = language.supervised_logits(embeddings, text)
            loss = torch.nn.functional.cross_entropy(logits, labels)
        update(loss, model, optimizers)
        mean = loss.item() if math.isnan(mean) else 0.95 * mean + 0.05 * loss.item()
        if step % 20 == 0:
            seconds = time.monotonic() - started
            logger.info("language %d: step %d/%d loss %.4f (%.0f s)", number, step, cycle.steps, mean, seconds)
        if step % save_every == 0 or step == last:
            model.half().save_pretrained(folder)
            model.float()
    return mean


def _batches(
    chat: ChatFormat, language: LanguageModel, *, number: int
) -> Iterator[tuple[Float[Tensor, "b t d"], PackedText]]:
    """Yield the endless batches of a cycle.

    The first cycle starts with scenes of one object, and adds one more every ``CURRICULUM_STEPS``.
    With one object, whatever the LM attends to is the answer; with two it must choose. Given whole scenes from the
    start, it stayed at the answers' marginal frequencies for as long as we watched (400 steps).
    """
    sampler = QuestionSampler(PRETRAIN_SEED)
    scenes = training_scenes(start=number * SCENES_PER_CYCLE)
    rng = np.random.Generator(np.random.Philox(key=[PRETRAIN_SEED + 3, number]))
    for step in count(0 if number == 0 else CURRICULUM_STEPS * MAX_OBJECTS):
        chosen = [next(scenes) for _ in range(BATCH)]
        yield make_batch(chat, language, sampler, [_thinned(scene, step, rng) for scene in chosen])


def _thinned(scene: Scene, step: int, rng: np.random.Generator) -> Scene:
    """Return the scene with some of its objects: fewer early on, all of them most of the time later."""
    limit = 1 + step // CURRICULUM_STEPS
    if limit > len(scene.objects) and rng.random() < 0.75:
        return scene
    return replace(scene, objects=scene.objects[: int(rng.integers(1, min(limit, len(scene.objects)) + 1))])


def make_batch(
    chat: ChatFormat, language: LanguageModel, sampler: QuestionSampler, scenes: list[Scene]
) -> tuple[Float[Tensor, "b t d"], PackedText]:
    """Return input embeddings, glimpses pooled in place of the placeholders, and the packed conversations."""
    rng = np.random.Generator(np.random.Philox(key=[PRETRAIN_SEED + 9, scenes[0].index]))
    bags = [glimpses(scene, rng) for scene in scenes]
    width = max(len(b) for b in bags)
    bags = [(bag * width)[:width] for bag in bags]
    talks = [[(q.question, q.answer) for q in conversation(sampler, s, questions=QUESTIONS)] for s in scenes]
    text = pack(chat, talks, vision_tokens=width)
    offset = int(rng.integers(0, max(1, MAX_OFFSET - width)))
    text = PackedText(text.ids, text.labels, text.positions + offset * (text.segments > 0), text.segments)
    embeddings = language.embed(text.ids)
    pooled = torch.cat([pool_words(chat, language, bag) for bag in bags])
    return embeddings.masked_scatter(placeholder_mask(text.ids)[..., None], pooled), text


def pool_words(chat: ChatFormat, language: LanguageModel, bags: list[list[str]]) -> Float[Tensor, "n d"]:
    """Return one vector per bag: the sum of its words' embeddings over the square root of their number."""
    ids = [[i for word in bag for i in chat.tokenizer.encode(word, add_special_tokens=False)] for bag in bags]
    flat = torch.tensor([i for bag in ids for i in bag])
    lengths = torch.tensor([len(bag) for bag in ids])
    rows = torch.repeat_interleave(torch.arange(len(ids)), lengths)
    vectors = language.embed(flat[None])[0]
    total = vectors.new_zeros(len(ids), vectors.shape[-1]).index_add(0, rows, vectors)
    return total / lengths.to(vectors.dtype).sqrt()[:, None]
