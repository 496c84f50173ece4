"""The signature of a score: everything that must be equal for two scores to be comparable.

A signature is a line of ``key:value`` fields joined by ``|``, in the style of sacrebleu::

    nrefs:var|case:lc|tok:ptb|idf:references|version:0.1.0

Fields used here: ``nrefs`` references per item (``var`` when it varies), ``case`` (``lc`` lower-cased or
``mixed``), ``tok`` tokenizer, ``idf`` the corpus of the inverse document frequencies, ``version``.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

from panollava.errors import MetricUnavailable


def reference_count(references: Sequence[Sequence[str]]) -> str:
    """Return the number of references per item, or "var" when items differ.

    Example:
        >>> reference_count([["a"], ["b"]]), reference_count([["a"], ["b", "c"]])
        ('1', 'var')
    """
    counts = {len(group) for group in references}
    return str(counts.pop()) if len(counts) == 1 else "var"


def make_signature(fields: Mapping[str, str]) -> str:
    """Join fields in the order given and close with this package's version.

    Example:
        >>> make_signature({"nrefs": "1", "case": "lc"}).split("|")[:2]
        ['nrefs:1', 'case:lc']
    """
    parts = [f"{key}:{value}" for key, value in fields.items()]
    return "|".join([*parts, f"version:{package_version('panollava')}"])


def package_version(package: str) -> str:
    """Return the installed version of a package.

    Raises:
        MetricUnavailable: The package is not installed; the message names the command that installs it.
    """
    try:
        return version(package)
    except PackageNotFoundError as error:
        raise MetricUnavailable(
            f"the package '{package}' is not installed. Run ./install_eval_metrics.sh, or pip install {package}."
        ) from error
