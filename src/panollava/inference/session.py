"""A loaded model that answers questions about panoramas."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from panollava.checkpoints.format import CheckpointMeta, load_checkpoint
from panollava.checkpoints.resolve import resolve_checkpoint
from panollava.config import build_config
from panollava.config.schema import PanollavaConfig
from panollava.data.images import ImageOptions
from panollava.data.views import load_views
from panollava.errors import ConfigError
from panollava.inference.batch_size import BatchSize
from panollava.models.protocol import PanoramaModel, ViewFeatures

OPEN_SECTIONS = ("data.images.", "generation.", "evaluation.batch_size=")
"""Prefixes of the settings that do not change what was trained."""


@dataclass(slots=True)
class Session:
    """Answers questions; the features of the last panorama are kept, so that the next question is cheap.

    ::

        session = Session.load("runs/default")
        session.ask("pano.jpg", "what is behind me?")    # 'a red cube'
    """

    model: PanoramaModel
    cfg: PanollavaConfig
    meta: CheckpointMeta
    _seen: tuple[tuple[str, int, int], ViewFeatures] | None = field(default=None, repr=False)
    _together: BatchSize = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._together = BatchSize(self.cfg.generation.batch_size, "questions")

    @classmethod
    def load(
        cls, checkpoint: str | Path, *, device: str | torch.device | None = None, settings: Sequence[str] = ()
    ) -> "Session":
        """Load a checkpoint, or the last one below a directory, onto a device (CUDA where there is one).

        Args:
            checkpoint: The directory.
            device: A torch device; None: CUDA where there is one, else the CPU.
            settings: Changes of the run's settings in the sections that a trained model leaves open: ``data.images``,
                ``generation`` and ``evaluation.batch_size``, for example ``data.images.pad=true``.

        Raises:
            ConfigError: If a setting is not right, or of another section.
            CheckpointError: If there is none, or it is damaged or ambiguous.
        """
        fixed = [setting for setting in settings if not setting.startswith(OPEN_SECTIONS)]
        if fixed:
            raise ConfigError(
                f"{fixed[0]}: this is fixed by training. Changeable for a checkpoint: {', '.join(OPEN_SECTIONS)}"
            )
        folder = resolve_checkpoint(checkpoint)
        model, meta = load_checkpoint(folder)
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        return cls(model.to(device), build_config(meta.config, overrides=settings, origin=str(folder)), meta)

    def ask(self, image: str | Path, question: str) -> str:
        """Return the answer to one question about one panorama.

        Raises:
            DataError: If the image is not a usable panorama.
        """
        return self.ask_many(image, [question])[0]

    def ask_many(self, image: str | Path, questions: Sequence[str]) -> list[str]:
        """Return the answers to several questions; the panorama is encoded once.

        Sampled answers are a function of (``generation.seed``, file name, question). Where memory runs out, fewer
        questions are answered together.

        Raises:
            DataError: If the image is not a usable panorama.
            OutOfMemory: If memory is too small for one question.
        """
        features = None if self.model.blind else self._features(Path(image))
        settings = self.cfg.generation
        seed = self.cfg.experiment.seed if settings.seed is None else settings.seed
        return self._together.fit(
            lambda size: self.model.generate(
                features,
                [(0, question) for question in questions],
                max_new_tokens=settings.max_new_tokens,
                num_beams=settings.num_beams,
                temperature=settings.temperature,
                batch_size=size,
                seeds=[answer_seed(seed, image=Path(image).name, question=question) for question in questions],
            ),
            most=len(questions),
        )

    def _features(self, image: Path) -> ViewFeatures:
        state = image.stat() if image.is_file() else None  # another picture may have taken the name
        seen = (str(image), state.st_mtime_ns if state else 0, state.st_size if state else 0)
        if self._seen is None or self._seen[0] != seen:
            device, cfg = self.model.device, self.cfg
            images = ImageOptions.from_settings(cfg.data.images, antialias=cfg.views.antialias)
            views = tuple(group[None].to(device) for group in load_views(image, self.model.layout, images=images))
            with torch.no_grad():
                features = BatchSize(1, "panoramas").fit(lambda _: self.model.encode(views), most=1)
            self._seen = (seen, features)
        return self._seen[1]


def answer_seed(seed: int, *, image: str, question: str) -> int:
    """Return what decides the sampled answer to a question about a panorama.

    Two rows that ask the same get the same answer, as greedy ones do; where and beside what they stand does not matter.

    Example:
        >>> answer_seed(1, image="a.jpg", question="up?") != answer_seed(2, image="a.jpg", question="up?")
        True
    """
    digest = hashlib.sha256(json.dumps([seed, image, question]).encode()).digest()
    return int.from_bytes(digest[:8], "big")
