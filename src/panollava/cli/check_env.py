"""``panollava check-env``: can panollava work on this machine?"""

import argparse
import json
import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

_LEAST_PYTHON = (3, 11)
_GIB = 2**30
_OPTIONAL = ("flash-attn", "bitsandbytes", "deepspeed")


class Check(NamedTuple):
    """One line of the table."""

    name: str
    found: str
    needed: str
    ok: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the checks; the status is 1 if one fails."""
    checks = [check_python(), *check_packages(), *check_optional(), *check_torch(), *check_machine()]
    ok = all(check.ok for check in checks)
    if args.json:
        print(json.dumps({"ok": ok, "checks": [check._asdict() for check in checks]}, indent=2))
    else:
        _print_table(checks)
    return 0 if ok else 1


def check_python() -> Check:
    """Compare this Python with the oldest one that works."""
    needed = ".".join(map(str, _LEAST_PYTHON))
    return Check("python", platform.python_version(), f">={needed}", sys.version_info >= _LEAST_PYTHON)


def check_packages() -> list[Check]:
    """Compare the installed packages with what the distribution requires."""
    from packaging.requirements import Requirement

    try:
        lines = metadata.requires("panollava") or []
    except metadata.PackageNotFoundError:
        return [Check("panollava", "not installed", "pip install -e .", False)]
    requirements = [Requirement(line) for line in lines]
    return [
        check_package(requirement.name, needed=str(requirement.specifier))
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    ]


def check_package(name: str, *, needed: str) -> Check:
    """Compare one installed package with a version specifier such as ``>=2.6,<3``.

    Example:
        >>> check_package("packaging", needed=">=1").ok
        True
        >>> check_package("no-such-package", needed=">=1").found
        'not installed'
    """
    from packaging.specifiers import SpecifierSet

    version = _version(name)
    if version is None:
        return Check(name, "not installed", needed, False)
    return Check(name, version, needed, SpecifierSet(needed).contains(version, prereleases=True))


def check_optional() -> list[Check]:
    """Tell which packages that are not required are there; their absence is no failure."""
    return [Check(name, _version(name) or "not installed", "optional", True) for name in _OPTIONAL]


def check_torch() -> list[Check]:
    """Import torch, and name its devices."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return [Check("torch import", f"fails: {error}", "works", False)]
    checks = [Check("CPU threads", str(torch.get_num_threads()), "", True)]
    if not torch.cuda.is_available():
        return [*checks, Check("CUDA", "none, training runs on the CPU", "optional", True)]
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        found = f"{device.name}, {device.total_memory / _GIB:.0f} GiB"
        checks.append(Check(f"CUDA {index}", found, "optional", True))
    return checks


def check_machine() -> list[Check]:
    """Tell memory and free disk; ``make run`` needs about 6 GB of memory and 1 GB of disk."""
    checks = []
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / _GIB
        checks.append(Check("memory", f"{memory:.1f} GiB", ">=6 GiB", memory >= 5.5))
    disk = shutil.disk_usage(Path.cwd()).free / _GIB
    checks.append(Check("free disk", f"{disk:.1f} GiB", ">=1 GiB", disk >= 1))
    return checks


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _print_table(checks: list[Check]) -> None:
    for check in checks:
        mark = "ok  " if check.ok else "FAIL"
        print(f"{mark}  {check.name:<24} {check.found:<28} {check.needed}".rstrip())
    failed = [check.name for check in checks if not check.ok]
    if failed:
        print(f"\n{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}", file=sys.stderr)
