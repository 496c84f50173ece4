"""SPICE (Anderson et al. 2016). It does not run yet and says so; nothing else is reported in its name."""

import shutil

from panollava.errors import MetricUnavailable


def spice_unavailable() -> MetricUnavailable:
    """Return the error that says why SPICE cannot run on this machine, and what to read instead."""
    missing = ["the Stanford CoreNLP 3.6.0 models, which no package index carries"]
    if shutil.which("java") is None:
        missing.insert(0, "a Java runtime (none on PATH)")
    return MetricUnavailable(
        f"SPICE is not run by this version; the official scorer needs {' and '.join(missing)}."
        " Score without it: --metrics bleu4,meteor,rougeL,cider."
    )
