"""Every error that panollava raises on purpose.

::

    PanollavaError
     |- ConfigError            a key or value of the configuration
     |- DataError              a manifest row or an image
     |- GeometryError          an impossible view, angle or image size
     |- ModelError             a model that cannot be built or composed
     |   |- FusionError        placeholders and vision tokens do not agree
     |   '- HubError           a pretrained model that neither hub nor cache gives
     |- TrainingError          a stage that cannot run
     |- Interrupted            a stage that a signal stopped, after its checkpoint was written
     |- OutOfMemory            memory that is too small even for one panorama or question
     |- CheckpointError        a checkpoint that is absent, damaged or ambiguous
     |- MetricError            predictions that cannot be scored
     '- MetricUnavailable      a metric that cannot run here; the score is missing, never 0

A message says what was wrong, the value seen, what is allowed, and what to do.
The command line prints it without a traceback and exits with status 1 (2 for usage).
"""

import difflib
from collections.abc import Iterable


class PanollavaError(Exception):
    """Base class: catch this to catch every deliberate error of panollava."""


class ConfigError(PanollavaError, ValueError):
    """A configuration key or value is wrong; the message names the key's dotted path."""


class DataError(PanollavaError, ValueError):
    """A manifest row or an image is unusable; the message names file, row and column."""


class GeometryError(PanollavaError, ValueError):
    """A view, angle or image size that has no meaning on the sphere."""


class ModelError(PanollavaError, ValueError):
    """A model that cannot be found, built or composed."""


class FusionError(ModelError):
    """The number of placeholders and of vision tokens differ."""


class HubError(ModelError):
    """A pretrained model that the hub does not give, and the cache does not have."""


class TrainingError(PanollavaError, RuntimeError):
    """A stage that cannot run or must stop."""


class Interrupted(PanollavaError, RuntimeError):  # noqa: N818 - it is no error of the run
    """A stage that a signal stopped; its checkpoint is written.

    Attributes:
        status: Exit status for the shell.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class OutOfMemory(PanollavaError, MemoryError):  # noqa: N818 - OutOfMemoryError is the allocator's own
    """Memory is too small even for the smallest batch; the message says what takes less."""


class CheckpointError(PanollavaError, ValueError):
    """A checkpoint that is absent, damaged, or not the only candidate."""


class MetricError(PanollavaError, ValueError):
    """Predictions and references that cannot be scored as given."""


class MetricUnavailable(PanollavaError, RuntimeError):  # noqa: N818 - the architecture's name
    """A metric cannot run here (a missing package or resource); the message says why and the fix."""


def unknown_name(kind: str, name: str, choices: Iterable[str]) -> str:
    """Return the text of an unknown-name error, with the nearest name first.

    Example:
        >>> unknown_name("resampler", "percever", ["mlp", "perceiver"])
        "unknown resampler 'percever'. Did you mean 'perceiver'? Available: mlp, perceiver."
    """
    names = sorted(choices)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return f"unknown {kind} '{name}'.{hint} Available: {', '.join(names) or '(none)'}."
