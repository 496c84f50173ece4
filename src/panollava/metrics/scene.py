"""The table's entries for the metrics of scene graphs: SPICE, and ``spice_lite`` under its own name."""

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from panollava.errors import MetricUnavailable
from panollava.metrics.metric import Metric, Outcome
from panollava.metrics.signature import make_signature, reference_count
from panollava.metrics.spice import SpiceSettings, spice
from panollava.metrics.spice_lite import parser_signature, spice_lite
from panollava.metrics.spice_models import VERSION

if TYPE_CHECKING:
    from panollava.metrics.items import Items
    from panollava.metrics.tokens import TokenTable

Run = Callable[["Items", "TokenTable", str | None], Outcome]


def spice_metric(settings: SpiceSettings | None = None) -> Metric:
    """Return the entry of SPICE.

    Args:
        settings: how its program is run; None: as PANOLLAVA_SPICE_MEMORY and PANOLLAVA_SPICE_TIMEOUT_S say.
    """

    def run(items: "Items", tokens: "TokenTable", tokenizer: str | None) -> Outcome:
        refuse_other_scripts(items, label="SPICE")
        name = tokenizer or "ptb-py"
        predictions, references = tokens(name)
        texts = [[" ".join(words) for words in group] for group in references]
        captions = [" ".join(words) for words in predictions]
        scores = spice(captions, texts, settings=settings or settings_of_environment())
        fields = {"nrefs": reference_count(items.references), "case": "lc", "tok": name}
        signature = make_signature({**fields, "spice": "1.0", "corenlp": VERSION})
        return Outcome(float(np.mean(scores)), signature, tuple(scores.tolist()))

    return Metric("SPICE", "pycocoevalcap", run)


def settings_of_environment() -> SpiceSettings:
    """Return the settings that environment variables name, defaults elsewhere.

    Raises:
        MetricUnavailable: PANOLLAVA_SPICE_TIMEOUT_S is not a number above 0.
    """
    default = SpiceSettings()
    seconds = os.environ.get("PANOLLAVA_SPICE_TIMEOUT_S", f"{default.timeout_s}")
    try:
        timeout_s = float(seconds)
    except ValueError:
        timeout_s = 0.0
    if not timeout_s > 0.0:
        raise MetricUnavailable(f"PANOLLAVA_SPICE_TIMEOUT_S is '{seconds}'; give seconds, a number above 0.")
    return SpiceSettings(memory=os.environ.get("PANOLLAVA_SPICE_MEMORY", default.memory), timeout_s=timeout_s)


def _spice_lite(items: "Items", tokens: "TokenTable", tokenizer: str | None) -> Outcome:  # noqa: ARG001
    refuse_other_scripts(items, label="spice_lite")
    fields = {"nrefs": reference_count(items.references), "parser": parser_signature(), "wordnet": "3.0"}
    scores = spice_lite(items.predictions, items.references)
    return Outcome(float(np.mean(scores)), make_signature(fields), tuple(scores.tolist()))


def refuse_other_scripts(items: "Items", *, label: str) -> None:
    """Raise MetricUnavailable where most references have no letter of a-z: scene graphs are read from English."""
    texts = [text for group in items.references for text in group]
    latin = sum(any("a" <= letter <= "z" for letter in text.lower()) for text in texts)
    if 2 * latin < len(texts):
        raise MetricUnavailable(
            f"{label} reads English, and most references have no letter of a-z."
            " Leave it out for this language: --metrics bleu4,rougeL,cider."
        )


SCENE_METRICS: Mapping[str, Metric] = MappingProxyType(
    {"spice": spice_metric(), "spice_lite": Metric("spice_lite", "panollava, spaCy", _spice_lite)}
)
