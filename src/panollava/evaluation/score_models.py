"""Load the pretrained models that scores are computed with; a model that is not there makes a score missing.

They are the judges, not the model under test: weights are named by the user (a folder, or an id on the hub) and are
named in signatures by their checksum.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from panollava.errors import MetricUnavailable, ModelError
from panollava.models.hub import Pretrained, pretrained

logger = logging.getLogger(__name__)

BATCH = 32


def judge_files(kind: str, path: str) -> Pretrained:
    """Return the files of a model, for one of ``evaluation.models``; fetched if they are not on this disk.

    Raises:
        MetricUnavailable: They cannot be had; the message names the key and the path.
    """
    try:
        return pretrained(path, key=f"evaluation.models.{kind}")
    except ModelError as error:
        raise _unavailable(kind, path, error) from error


def load_eval(kind: str, files: Pretrained, *, model: Any) -> Any:
    """Return a model class's pretrained instance on the best device, in full precision, not training.

    Raises:
        MetricUnavailable: It cannot be loaded.
    """
    options = {"use_safetensors": True, "local_files_only": True, "trust_remote_code": False}
    try:
        loaded = model.from_pretrained(files.folder, dtype=torch.float32, **options)
    except (OSError, ValueError, KeyError) as error:
        raise _unavailable(kind, files.name, error) from error
    return loaded.eval().to("cuda" if torch.cuda.is_available() else "cpu")


def load_tokenizer(kind: str, files: Pretrained) -> Any:
    """Return the tokenizer of a model; errors as ``load_eval``."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(files.folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise _unavailable(kind, files.name, error) from error


def weights_signature(files: Pretrained) -> str:
    """Return the name of a model and the first digits of the sha256 of its weights, or its commit on the hub."""
    if files.commit is not None:
        return f"{files.name}@{files.commit[:8]}"
    digest = hashlib.sha256()
    for file in sorted(files.folder.glob("*.safetensors")):
        with file.open("rb") as data:
            digest.update(hashlib.file_digest(data, "sha256").digest())
    return f"{files.folder.name}@{digest.hexdigest()[:8]}"


def batches(texts: Sequence[str]) -> Iterator[list[int]]:
    """Yield the places of texts in batches of similar length, so that little is padded.

    Example:
        >>> list(batches(["aaa", "a", "aa"]))
        [[1, 2, 0]]
    """
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for start in range(0, len(order), BATCH):
        yield order[start : start + BATCH]


def token_limit(tokenizer: Any, config: Any) -> int:
    """Return how many tokens a model reads at most; longer texts are cut.

    The tokenizer says so, or else the table of positions. (Models of RoBERTa's kind start to count positions behind
    the padding token, which is why their tables are longer than what they read.)
    """
    positions = getattr(config, "max_position_embeddings", None) or 512
    if config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        positions -= int(config.pad_token_id or 0) + 1
    return int(min(tokenizer.model_max_length, positions))


def to_device(inputs: Any, model: Any) -> dict[str, Tensor]:
    """Return the tensors of a tokenizer's output on the model's device."""
    return {name: value.to(model.device) for name, value in inputs.items()}


def _unavailable(kind: str, path: str, error: Exception) -> MetricUnavailable:
    first = " ".join(str(error).split())[:400]
    return MetricUnavailable(
        f"the model '{path}' of evaluation.models.{kind} (--model {kind}=PATH) cannot be loaded: {first}. Give a"
        " folder with config.json, safetensors and tokenizer, or a hub id that can be reached."
    )
