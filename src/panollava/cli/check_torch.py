"""``panollava check-env``: torch, its devices, and what must fit to it. torch is imported in a process of its own."""

import shutil
from typing import Any

from panollava.cli.check_packages import version_of
from panollava.cli.check_row import NO_ANSWER, Check, output_of, python_says

IMPORT_S = 120.0
_GIB = 2**30

_CODE = """
import json, torch
devices = []
if torch.cuda.is_available():
    for index in range(torch.cuda.device_count()):
        d = torch.cuda.get_device_properties(index)
        devices.append([d.name, d.total_memory, f"{d.major}.{d.minor}"])
print(json.dumps({
    "version": torch.__version__, "built": torch.version.cuda or torch.version.hip, "devices": devices,
    "threads": torch.get_num_threads(), "mps": torch.backends.mps.is_available(),
    "archs": torch.cuda.get_arch_list() if devices else [],
}))
"""


def torch_and_devices() -> list[Check]:
    """Import torch, and name its devices."""
    said, wrong = python_says(_CODE, limit_s=IMPORT_S)
    if wrong.startswith(NO_ANSWER):
        fix = "the disk is slow or the machine busy: look at its load, and try again"
        return [Check("torch import", wrong, "works", "warning", fix)]
    if said is None:
        fix = "install torch anew: make TORCH=torch==2.13.0, with TORCH_INDEX=URL for another build"
        return [Check("torch import", wrong, "works", "failure", fix)]
    rows = [Check("torch import", said["version"], "works"), Check("threads of torch", str(said["threads"]))]
    rows += [*_devices(said), *check_torchvision(), *check_compiler()]
    return rows


def _devices(said: dict[str, Any]) -> list[Check]:
    driver = output_of(["nvidia-smi", "--query-gpu=driver_version,name", "--format=csv,noheader"], limit_s=15)
    rows = []
    for number, (name, memory, capability) in enumerate(said["devices"]):
        rows.append(Check(f"CUDA {number}", f"{name}, {memory / _GIB:.0f} GiB, capability {capability}"))
    if driver:
        rows.append(Check("NVIDIA driver", driver.split(",")[0].strip()))
    if said["mps"]:
        rows.append(Check("Apple GPU", "MPS"))
    if rows and (said["devices"] or said["mps"]):
        return rows
    if driver:
        built = f"is built for CUDA {said['built']}" if said["built"] else "has no CUDA"
        fix = f"torch {said['version']} {built}: make TORCH_INDEX=URL with an index of builds that suit the driver"
        return [*rows, Check("CUDA", "a GPU is there, but torch does not see it", "", "warning", fix)]
    return [Check("GPU", "none, training runs on the CPU", "", "note")]


def check_torchvision() -> list[Check]:
    """Import torchvision where it is installed: transformers does, and a build for another torch stops it."""
    if version_of("torchvision") is None:
        return []
    said, wrong = python_says("import json, torchvision; print(json.dumps(1))", limit_s=IMPORT_S)
    version = str(version_of("torchvision"))
    if said is not None:
        return [Check("torchvision import", version, "works")]
    return [Check("torchvision import", wrong, "works", "failure", "pip uninstall torchvision; it is not needed")]


def check_compiler() -> list[Check]:
    """Look for a C++ compiler, which ``trainer.compile`` needs."""
    found = next((name for name in ("c++", "g++", "clang++", "cl") if shutil.which(name)), None)
    if found:
        return [Check("C++ compiler", str(shutil.which(found)), "trainer.compile")]
    return [
        Check("C++ compiler", "none", "trainer.compile", "note", "install g++ or clang, if you want trainer.compile")
    ]
