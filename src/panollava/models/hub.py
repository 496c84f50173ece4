"""The one door through which pretrained files come: a folder of this disk, the cache, or the hub.

::

    a folder     -> looked over -> that folder
    owner/name   -> HF_HUB_OFFLINE=1: the cache alone, no socket is opened
                 -> else the hub, three more times after a fault of the network -> cache
                 -> looked over -> the snapshot's folder, and its commit

Libraries are given the folder, so that none of them asks the network by itself. The hub's client writes a download
beside its place and renames it when it has the promised size: a half one is never found.
"""

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panollava.errors import HubError, ModelError
from panollava.models.folder_check import check_folder
from panollava.models.hub_errors import explained, is_passing, tried_by_client
from panollava.models.remote_code import CodeConsent, check_code

logger = logging.getLogger(__name__)

RETRIES = 3
BACKOFF_S = 1.0
"""Wait before the first retry; twice as long before each next."""

WANTED = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")
UNWANTED = ("original/*", "onnx/*", "openvino/*", "metal/*", "coreml/*", "consolidated*", "*.fp16.*", "*.non_ema.*")
"""Copies of the same weights for other programs."""

_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_NO_CODE = CodeConsent()


@dataclass(frozen=True, slots=True)
class Pretrained:
    """The files of a pretrained model on this disk.

    Attributes:
        name: As it was asked for.
        folder: Where the files are.
        commit: Commit of the hub; None for a folder of the user's own.
        code: Whether Python files of the model may be run.
    """

    name: str
    folder: Path
    commit: str | None = None
    code: bool = False

    @property
    def revision(self) -> str:
        """What was loaded, in one word: ``owner/name@commit``, or the folder.

        Example:
            >>> Pretrained("Qwen/Qwen3-0.6B", Path("cache"), "c1899de289a04d12100db370d81485cdf75e47ca").revision
            'Qwen/Qwen3-0.6B@c1899de289a04d12100db370d81485cdf75e47ca'
        """
        return self.name if self.commit is None else f"{self.name}@{self.commit}"


def pretrained(
    name: str | Path,
    *,
    key: str,
    revision: str | None = None,
    consent: CodeConsent = _NO_CODE,
    retries: int = RETRIES,
) -> Pretrained:
    """Return the files of a model, fetched if they are not on this disk.

    Args:
        name: Folder or hub id.
        key: The setting that names it, for messages, such as ``vision.model``.
        revision: Branch, tag or commit of the hub.
        consent: Whether Python files of the model may be run; the default is no.
        retries: How often a fault of the network is tried again.

    Raises:
        HubError: If the hub does not give it, and the cache does not have it.
        ModelError: If a file is damaged or of another format, or the model needs code of its own.
    """
    folder, name = Path(name), str(name)
    if folder.is_dir():
        files = Pretrained(name, folder)
    elif not _ID.fullmatch(name):
        raise ModelError(
            f"the model '{name}' cannot be loaded: it is no folder here and no hub id (owner/name). Give {key} a "
            "folder with config.json and safetensors, a hub id, or a preset name."
        )
    else:
        consent.check_pin(name, revision, key=key)
        files = _from_hub(name, revision=revision, key=key, code=consent.asked, retries=retries)
        logger.info("loading %s", files.revision)
    check_folder(files.folder)
    code = check_code(files.folder, files.name, consent=consent, commit=files.commit, key=key)
    return Pretrained(files.name, files.folder, files.commit, code)


def offline() -> bool:
    """Whether ``HF_HUB_OFFLINE`` (or ``TRANSFORMERS_OFFLINE``) forbids asking the hub."""
    from huggingface_hub import constants

    return bool(constants.is_offline_mode())


def _from_hub(name: str, *, revision: str | None, key: str, code: bool, retries: int) -> Pretrained:
    from huggingface_hub import snapshot_download

    wanted = [*WANTED, "*.py"] if code else list(WANTED)

    def fetch() -> str:
        return str(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=wanted,
                ignore_patterns=list(UNWANTED),
                local_files_only=offline(),
                max_workers=4,
            )
        )

    folder = Path(with_retries(fetch, name=name, key=key, revision=revision, retries=0 if offline() else retries))
    return Pretrained(name, folder, folder.name)


def with_retries(fetch: Callable[[], Any], *, name: str, key: str, revision: str | None, retries: int) -> Any:
    """Return what ``fetch`` returns; try again after faults that pass by themselves.

    Raises:
        HubError: If it fails for good.
    """
    from huggingface_hub.errors import HTTPError

    for attempt in range(retries + 1):
        try:
            return fetch()
        except (OSError, HTTPError, ValueError) as error:
            if attempt == retries or not is_passing(error) or tried_by_client(error):
                raise HubError(explained(error, name=name, key=key, revision=revision, offline=offline())) from error
            pause = BACKOFF_S * 2**attempt
            logger.info("the hub did not give %s; trying again in %.0f s (%d of %d)", name, pause, attempt + 1, retries)
            time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")
