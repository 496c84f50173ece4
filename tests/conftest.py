"""Tiny real models, a tiny data set and one tiny training run, shared by the tests of the upper rooms.

Everything is built on first use, once per session, from fixed seeds, without a network. Nothing here is imported by
a test that does not ask for it: torch alone takes seconds.
"""

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% for m in messages %}<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a CUDA device where there is none."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


class Family(NamedTuple):
    """The chat habits of a family of language models."""

    template: str | None
    specials: tuple[str, ...]
    eos: str
    bos: str | None = None


FAMILIES: Mapping[str, Family] = {
    "qwen2": Family(CHATML, ("<|endoftext|>", "<|im_start|>", "<|im_end|>"), "<|im_end|>"),
    "llama": Family(
        LLAMA3,
        ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "<|eot_id|>",
        "<|begin_of_text|>",
    ),
    "gemma2": Family(GEMMA, ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"), "<eos>", "<bos>"),
    "plain": Family(None, ("<s>", "</s>"), "</s>"),
}
FAMILIES |= {"qwen3": FAMILIES["qwen2"], "smollm3": FAMILIES["qwen2"], "gemma3": FAMILIES["gemma2"]}
ENCODERS = ("siglip", "siglip2", "clip", "dinov2", "dinov3", "vit")
LANGUAGES = ("qwen2", "qwen3", "llama", "smollm3", "gemma2", "gemma3")
VOCABULARY = 320
CORPUS = (
    "what is behind you?",
    "is there a red ball to the left of the cube?",
    "yes",
    "no",
    "front right",
    "the room has a wooden floor and white walls",
)


def make_tokenizer(family: str, *, template: str | None = None) -> Any:
    """Train a byte-level tokenizer that, like the family's own, puts BOS before every text unless told not to."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    habits = FAMILIES[family]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(habits.specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 4, trainer)
    if habits.bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{habits.bos} $A", special_tokens=[(habits.bos, tokenizer.token_to_id(habits.bos))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=habits.eos,
        bos_token=habits.bos,
        additional_special_tokens=[s for s in habits.specials if s not in (habits.eos, habits.bos)],
        chat_template=template or habits.template,
        clean_up_tokenization_spaces=False,
    )


@dataclass(frozen=True)
class Zoo:
    """Tiny random-weight instances of the real Hugging Face classes, in folders as a user has them."""

    root: Path

    @functools.cache  # noqa: B019 (one zoo per session)
    def vision(self, family: str) -> Path:
        """Return the folder of an encoder: width 32, 2 blocks, 32 px images, 8 px patches."""
        import torch
        from transformers import (
            CLIPVisionConfig,
            CLIPVisionModel,
            Dinov2WithRegistersConfig,
            Dinov2WithRegistersModel,
            DINOv3ViTConfig,
            DINOv3ViTModel,
            Siglip2VisionConfig,
            Siglip2VisionModel,
            SiglipVisionConfig,
            SiglipVisionModel,
            ViTConfig,
            ViTModel,
        )

        size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
        wide = {**size, "intermediate_size": 64}
        flexible = {key: value for key, value in wide.items() if key != "image_size"}
        make: dict[str, Callable[[], Any]] = {
            "siglip": lambda: SiglipVisionModel(SiglipVisionConfig(**wide)),
            "clip": lambda: CLIPVisionModel(CLIPVisionConfig(**wide)),
            "dinov2": lambda: Dinov2WithRegistersModel(
                Dinov2WithRegistersConfig(**size, mlp_ratio=2, num_register_tokens=3)
            ),
            "dinov3": lambda: DINOv3ViTModel(DINOv3ViTConfig(**wide, num_register_tokens=2)),
            "siglip2": lambda: Siglip2VisionModel(Siglip2VisionConfig(**flexible, num_patches=16)),
            "vit": lambda: ViTModel(ViTConfig(**wide), add_pooling_layer=False),
        }
        torch.manual_seed(11)
        folder = self.root / family
        make[family]().save_pretrained(folder)
        return folder

    @functools.cache  # noqa: B019
    def language(self, family: str) -> Path:
        """Return the folder of a language model: width 64, head width 32, 2 blocks, its tokenizer below it."""
        import torch
        from transformers import (
            Gemma2Config,
            Gemma2ForCausalLM,
            Gemma3ForCausalLM,
            Gemma3TextConfig,
            LlamaConfig,
            LlamaForCausalLM,
            Qwen2Config,
            Qwen2ForCausalLM,
            Qwen3Config,
            Qwen3ForCausalLM,
            SmolLM3Config,
            SmolLM3ForCausalLM,
        )

        tokenizer = make_tokenizer(family)
        size = {
            "vocab_size": len(tokenizer),
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 32,
            "max_position_embeddings": 2048,
            "initializer_range": 0.2,  # at the usual 0.02 every answer of a random model is the same
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.eos_token_id,
        }
        caps = {"final_logit_softcapping": 3.0, "attn_logit_softcapping": 8.0, "query_pre_attn_scalar": 32}
        untied = {"tie_word_embeddings": False}  # tied, a random Gemma repeats the last word it read
        make: dict[str, Callable[[], Any]] = {
            "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**size, tie_word_embeddings=True)),
            "llama": lambda: LlamaForCausalLM(LlamaConfig(**size, **untied)),
            "gemma2": lambda: Gemma2ForCausalLM(Gemma2Config(**{**size, "initializer_range": 0.5}, **caps, **untied)),
            "gemma3": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**size, query_pre_attn_scalar=32, **untied)),
            "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**size, **untied)),
            "smollm3": lambda: SmolLM3ForCausalLM(SmolLM3Config(**size, **untied)),
        }
        torch.manual_seed(12)
        folder = self.root / family
        make[family]().save_pretrained(folder)
        tokenizer.save_pretrained(folder / "tokenizer")
        return folder


@pytest.fixture(scope="session")
def tokenizer_of() -> Callable[..., Any]:
    """Return ``make_tokenizer``."""
    return functools.cache(make_tokenizer)


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """Return the tiny models."""
    import torch
    from transformers.utils import logging

    torch.set_num_threads(1)
    logging.disable_progress_bar()
    return Zoo(tmp_path_factory.mktemp("zoo"))


ConfigMaker = Callable[..., Any]


@pytest.fixture(scope="session")
def tiny_tree(zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Return a maker of plain configuration trees: tiny models, tiny SurroundQA, three stages of two steps."""
    data = tmp_path_factory.mktemp("data")

    def stage(name: str, objective: str, **lr: float) -> dict[str, Any]:
        short = {"epochs": None, "max_steps": 2, "batch_size": 2, "questions_per_panorama": 3}
        return {"name": name, "trains": list(lr), "objective": objective, "lr": lr, **short}

    def make(*, vision: str = "siglip", language: str = "qwen2", runs: Path | str = "runs") -> dict[str, Any]:
        return {
            "experiment": {"name": "tiny", "seed": 3, "blind_baseline": False},
            "paths": {"runs": str(runs), "data": str(data)},
            "vision": {"model": str(zoo.vision(vision)), "trainable_blocks": 1},
            "language": {"model": str(zoo.language(language))},
            "lora": {"r": 4, "alpha": 8, "dropout": 0.0},
            "position": {"harmonics": 4},
            "data": {"synthetic": {"count": 20, "seed": 5, "width": 128, "questions_per_panorama": 4}},
            "stages": [
                stage("vision", "overlap", vision=1e-3, resampler=1e-3),
                stage("resampler", "language", resampler=1e-3, projector=1e-3, position=1e-3),
                stage("finetune", "language", resampler=1e-3, projector=1e-3, position=1e-3, adapter=1e-2),
            ],
            "generation": {"max_new_tokens": 4, "batch_size": 8},
            "evaluation": {"metrics": ["bleu4", "rougeL"], "max_samples": 10, "batch_size": 2, "sample_panoramas": 1},
            "trainer": {"accelerator": "cpu", "log_every": 1, "threads": 1},
        }

    return make


@pytest.fixture(scope="session")
def tiny_config(tiny_tree: Callable[..., dict[str, Any]]) -> ConfigMaker:
    """Return a maker of configurations: ``tiny_config("lora.r=2", vision="clip", runs=tmp_path)``."""
    from panollava.config import build_config

    def make(*overrides: str, **models: Any) -> Any:
        return build_config(tiny_tree(**models), overrides=overrides, origin="test")

    return make


@pytest.fixture
def tiny_model(tiny_config: ConfigMaker) -> Callable[..., Any]:
    """Return a maker of models: ``tiny_model(vision="clip", adapter=True)``."""
    from panollava.models.build import build_model

    def make(*overrides: str, blind: bool = False, adapter: bool = False, **models: Any) -> Any:
        return build_model(tiny_config(*overrides, **models), blind=blind, adapter=adapter)

    return make


@pytest.fixture(scope="session")
def panoramas(tiny_config: ConfigMaker) -> Callable[[str], list[Any]]:
    """Return the panoramas of a split of the tiny SurroundQA, with their questions."""
    from panollava.data.sources import ensure_synthetic, training_panoramas

    cfg = tiny_config()
    ensure_synthetic(cfg)
    return functools.cache(lambda split: training_panoramas(cfg.data.train, cfg, split=split))


@pytest.fixture(scope="session")
def pixels() -> Callable[..., tuple[Any, ...]]:
    """Return a maker of random views for a model: ``pixels(model, count)``, one uint8 tensor per group."""
    import torch

    def make(model: Any, count: int = 2, *, seed: int = 0) -> tuple[Any, ...]:
        random = torch.Generator().manual_seed(seed)
        return tuple(
            torch.randint(
                0, 256, (count, len(g.indices), g.height_px, g.width_px, 3), dtype=torch.uint8, generator=random
            )
            for g in model.layout.groups()
        )

    return make


def weights(model: Any) -> dict[str, dict[str, Any]]:
    """Return a copy of every parameter, by component and name, LoRA wrapping removed from the names."""
    copy: dict[str, dict[str, Any]] = {}
    for component, name, parameter in model.component_parameters():
        copy.setdefault(component, {})[name.replace(".base_layer.", ".")] = parameter.detach().clone()
    return copy


@dataclass
class ThreeStages:
    """A finished run of the three stages: the weights before, between and after."""

    cfg: Any
    run_dir: Path
    model: Any
    outcomes: list[Any] = field(default_factory=list)
    snapshots: list[dict[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def checkpoint(self) -> Path:
        """Folder of the last checkpoint."""
        return Path(self.outcomes[-1].checkpoint)


@pytest.fixture(scope="session")
def three_stages(
    tiny_config: ConfigMaker, panoramas: Callable[[str], list[Any]], tmp_path_factory: pytest.TempPathFactory
) -> ThreeStages:
    """Train the three stages, two steps each, once for all tests that only look."""
    from panollava.models.build import build_model
    from panollava.training.stages import run_stage

    runs = tmp_path_factory.mktemp("runs")
    cfg = tiny_config(runs=runs)
    run = ThreeStages(cfg, runs / "tiny", build_model(cfg))
    run.snapshots.append(weights(run.model))
    trained: set[str] = set()
    for row in cfg.stages:
        outcome = run_stage(
            run.model, row, cfg,
            train=panoramas("train"), val=panoramas("val"), run_dir=run.run_dir, trained=trained,
        )  # fmt: skip
        run.outcomes.append(outcome)
        run.snapshots.append(weights(run.model))
    return run


@pytest.fixture(scope="session")
def snapshot() -> Callable[[Any], dict[str, dict[str, Any]]]:
    """Return ``weights``."""
    return weights
