"""``panollava check-env``: processors, memory, disks, limits and settings of this machine."""

import datetime
import locale
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from panollava.cli.check_row import Check

_GIB = 2**30
_LEAST_MEMORY, _LEAST_DISK = 5.5, 1.0
"""GiB: ``make run`` needs about 6 GB of memory and 1 GB of disk."""
_SCHEDULED = ("SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_PROCID", "RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR")
_RELEASED = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def machine() -> list[Check]:
    """Tell processors, memory, limits and settings."""
    return [check_cores(), check_memory(), *check_shared_memory(), *check_files(), *check_text(), check_clock(),
            *check_scheduler()]  # fmt: skip


def check_cores() -> Check:
    """Count the processors that this process may use."""
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return Check("processors", f"{allowed} of {os.cpu_count()}")


def check_memory() -> Check:
    """Tell the memory of the machine, or of the container where it has less."""
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return Check("memory", "unknown", ">=6 GiB", "note")
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / _GIB
    limit = _container_limit()
    memory = min(total, limit) if limit is not None else total
    found = f"{memory:.1f} GiB" + (f" of {total:.1f} (limit of the container)" if limit and limit < total else "")
    if memory >= _LEAST_MEMORY:
        return Check("memory", found, ">=6 GiB")
    return Check("memory", found, ">=6 GiB", "warning", "set evaluation.batch_size=1 and a stage's batch_size=1")


def _container_limit() -> float | None:
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        return int(text) / _GIB if text.isdigit() and int(text) < 2**60 else None
    return None


def check_shared_memory(folder: Path = Path("/dev/shm")) -> list[Check]:
    """Tell the room of shared memory, through which worker processes hand over batches."""
    if not folder.is_dir():
        return []
    room = shutil.disk_usage(folder).total / _GIB
    if room >= 1:
        return [Check(str(folder), f"{room:.1f} GiB", ">=1 GiB, for workers")]
    fix = "start the container with --shm-size=8g, or write data.workers: 0"
    return [Check(str(folder), f"{room * 1024:.0f} MiB", ">=1 GiB, for workers", "warning", fix)]


def check_files() -> list[Check]:
    """Tell how many files a process may have open."""
    if sys.platform == "win32":
        return []
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= 1024 or soft == resource.RLIM_INFINITY:
        return [Check("open files", str(soft), ">=1024")]
    fix = "ulimit -n 4096" if hard >= 4096 or hard == resource.RLIM_INFINITY else "ask the administrator for more"
    return [Check("open files", str(soft), ">=1024", "warning", fix)]


def check_text() -> list[Check]:
    """Look whether text is UTF-8 here."""
    names = {"file names": sys.getfilesystemencoding(), "text": locale.getpreferredencoding(False)}
    if sys.stdout is not None and sys.stdout.encoding:
        names["output"] = sys.stdout.encoding
    odd = {key: value for key, value in names.items() if value.lower().replace("-", "") != "utf8"}
    if not odd:
        return [Check("encoding", "UTF-8", "UTF-8")]
    found = ", ".join(f"{key} {value}" for key, value in odd.items())
    return [Check("encoding", found, "UTF-8", "warning", "export LANG=C.UTF-8 (or PYTHONUTF8=1)")]


def check_clock() -> Check:
    """Look whether the clock is past the year of this release: else certificates fail, and times in files mislead."""
    now = datetime.datetime.now(datetime.UTC)
    found = now.strftime("%Y-%m-%d %H:%M UTC")
    if now >= _RELEASED:
        return Check("clock", found)
    return Check("clock", found, "the present", "warning", "set the clock, for example by NTP")


def check_scheduler() -> list[Check]:
    """Tell what SLURM or torchrun say to a process that is started here."""
    seen = [f"{name}={os.environ[name]}" for name in _SCHEDULED if name in os.environ]
    if not seen:
        return []
    one = os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_NTASKS") or "1"
    fix = "" if one == "1" else f"training started here joins {one} processes; unset them to train alone"
    return [Check("processes", " ".join(seen), "", "note", fix)]


def folders(runs: Path, data: Path) -> list[Check]:
    """Write, bring to the disk, rename and remove a file where runs and data go."""
    return [row for name, folder in (("paths.runs", runs), ("paths.data", data)) for row in check_folder(name, folder)]


def check_folder(name: str, folder: Path) -> list[Check]:
    """Try a folder, or the nearest one above it that exists."""
    place = next((path for path in (folder, *folder.absolute().parents) if path.is_dir()), Path("/"))
    free = shutil.disk_usage(place).free / _GIB
    space = Check(f"{name} free", f"{free:.1f} GiB in {place}", ">=1 GiB")
    if free < _LEAST_DISK:
        space = space._replace(state="failure", fix=f"free space, or give {name} another disk")
    started = time.monotonic()
    try:
        _write(place)
    except OSError as error:
        fix = f"make {place} writable, or give {name} another folder"
        return [space, Check(f"{name} write", f"{error.strerror or error}", "works", "failure", fix)]
    seconds = time.monotonic() - started
    write = Check(f"{name} write", f"{seconds * 1000:.0f} ms for a file", "works")
    if seconds > 2:
        write = write._replace(state="warning", fix="a slow disk: use a local one, or a larger trainer.save_every")
    return [space, write]


def _write(folder: Path) -> None:
    """Do to a small file what a checkpoint does to large ones."""
    handle, name = tempfile.mkstemp(prefix=".panollava-check-", dir=folder)
    file = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(b"panollava")
            stream.flush()
            os.fsync(stream.fileno())
        file = file.rename(file.with_suffix(".moved"))
        if file.read_bytes() != b"panollava":
            raise OSError(f"{folder} gives back other bytes than were written")
    finally:
        file.unlink(missing_ok=True)
