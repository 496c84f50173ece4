"""Disks that are full or may not be written: one line with the bytes needed, and the checkpoints before as they were.

30 cases. The disks are real (tmpfs in a namespace of its own), where this machine lets a process mount one.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NEEDS = re.compile(r"needs ([\d,]+) bytes, and ([\d,]+) are free")
NOBODY = 65534


class Disk:
    """A small disk with two checkpoints on it, and orders to the process that sees it."""

    def __init__(self, process: "subprocess.Popen[str]", at: Path, checkpoint: Path) -> None:
        self.process, self.at, self.checkpoint, self.log = process, at, checkpoint, at.parent / "log.txt"
        self.stage = at / "runs" / "tiny" / "finetune"

    def order(self, order: str, **arguments: Any) -> Any:
        """Give an order and return the answer."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([order, arguments]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def save(self, name: str, *, step: int = 3, **how: Any) -> tuple[int, str]:
        """Save a checkpoint to the stage's folder; return status and message."""
        arguments = {"checkpoint": str(self.checkpoint), "log": str(self.log), "step": step, **how}
        status = self.order("save", folder=str(self.stage / name), **arguments)
        return status, self.log.read_text()

    def states(self) -> Any:
        """Return what is on the disk."""
        return self.order("states", root=str(self.at / "runs"))


@pytest.fixture(scope="module")
def process() -> "Iterator[subprocess.Popen[str]]":
    """Return a process in a namespace where it may mount."""
    if sys.platform != "linux":
        pytest.skip("namespaces are Linux's")
    try:
        probe = subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if probe.returncode != 0:
        pytest.skip(f"this machine lets no process mount a disk of its own: {probe.stderr.strip()}")
    words = ["unshare", "-rm", sys.executable, str(Path(__file__).with_name("disk_server.py"))]
    server = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None and server.stdin is not None
    assert json.loads(server.stdout.readline()) == "ready"
    yield server
    server.stdin.close()
    server.wait(timeout=60)


@pytest.fixture
def disk(process, three_stages, tmp_path) -> Iterator[Disk]:
    """Return a disk of 16 MB that holds ``step-000002`` and ``last``."""
    disk = Disk(process, tmp_path / "disk", three_stages.checkpoint)
    disk.order("mount", at=str(disk.at), kib=16 * 1024)
    for name, step in (("step-000002", 2), ("last", 1)):
        assert disk.save(name, step=step) == (0, "")
    yield disk
    disk.order("unmount", at=str(disk.at))


@pytest.fixture
def needed(disk) -> int:
    """Return the bytes that a save says it needs."""
    status, text = disk.save("step-000009", believed=0)
    assert status == 1
    return int(NEEDS.search(text)[1].replace(",", ""))


OLD = {"tiny/finetune/step-000002": "unfinished", "tiny/finetune/last": "unfinished"}


def as_it_was(disk: Disk, status: int, text: str) -> None:
    assert status == 1
    assert NEEDS.search(text) and "\n" not in text and "paths.runs" in text
    assert disk.states() == OLD


def test_the_bytes_needed_are_those_that_are_written(disk, needed):
    """Else the check before writing would be too strict, or none."""
    before = disk.order("free", at=str(disk.at))
    assert disk.save("step-000003") == (0, "")
    taken = before - disk.order("free", at=str(disk.at))
    assert taken <= needed <= 1.2 * taken + 64 * 1024


@pytest.mark.parametrize("name", ["step-000003", "last"])
@pytest.mark.parametrize("part", [0, 0.25, 0.6, 0.98])
def test_too_little_space_is_seen_before_writing(disk, needed, part, name, record_property):
    record_property("full disk, seen before writing", 1)
    disk.order("fill", at=str(disk.at), leave=int(part * needed))
    status, text = disk.save(name)
    as_it_was(disk, status, text)
    assert "checked before writing" in text and NEEDS.search(text)[1] == f"{needed:,}"
    free = int(NEEDS.search(text)[2].replace(",", ""))
    assert free == disk.order("free", at=str(disk.at)) < needed
    disk.order("empty", at=str(disk.at))
    assert disk.save(name) == (0, "")


@pytest.mark.parametrize("name", ["step-000003", "last"])
@pytest.mark.parametrize("part", [0, 0.2, 0.4, 0.6, 0.8])
def test_a_disk_that_fills_up_while_writing(disk, needed, part, name, record_property):
    """Another process took the space after the check; another file is half written each time."""
    record_property("full disk, while writing", 1)
    disk.order("fill", at=str(disk.at), leave=int(part * needed))
    status, text = disk.save(name, believed=10**12)
    as_it_was(disk, status, text)
    assert "No space left on device" in text
    disk.order("empty", at=str(disk.at))
    assert disk.save(name) == (0, "")


@pytest.mark.parametrize("name", ["step-000003", "last", "../vision/last"])
def test_a_disk_that_may_only_be_read(disk, name, record_property):
    record_property("read-only disk", 1)
    disk.order("read_only", at=str(disk.at))
    status, text = disk.save(name)
    as_it_was(disk, status, text)
    assert "Read-only file system" in text


@pytest.mark.parametrize("limit", [0, 1000, 10_000, 100_000])
def test_a_limit_on_the_size_of_files(disk, limit, record_property):
    record_property("limit on files", 1)
    status, text = disk.save("step-000003", limit=limit)
    as_it_was(disk, status, text)
    assert "File too large" in text


@pytest.mark.parametrize("name", ["filler", "filler/last"])
def test_a_file_in_the_way(disk, name, record_property):
    record_property("file in the way", 1)
    disk.order("fill", at=str(disk.stage), leave=10**7)
    status, text = disk.save(name)
    as_it_was(disk, status, text)
    assert "filler" in text and ("Not a directory" in text or "File exists" in text)


def test_a_folder_that_is_closed_to_this_user(tmp_path, record_property):
    """Permission bits do not bind root, so that another user writes where root is who tests."""
    from panollava.checkpoints.durable import replacing
    from panollava.errors import CheckpointError

    record_property("closed folder", 2)
    for place, mode in (("closed", 0o555), ("hidden", 0o000)):
        folder = tmp_path / place
        folder.mkdir()
        (folder / "last").mkdir()
        folder.chmod(mode)
        said, pid = tmp_path / f"{place}.txt", os.fork()
        if pid == 0:
            status = 70
            try:
                out = os.open(said, os.O_WRONLY | os.O_CREAT)
                if os.geteuid() == 0:
                    os.setuid(NOBODY)
                with replacing(folder / "last", needs=1234):
                    status = 0
            except CheckpointError as error:
                os.write(out, str(error).encode())
                status = 1
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
        folder.chmod(0o755)
        text = said.read_text()
        assert "Permission denied" in text and "needs 1,234 bytes" in text and "\n" not in text
        assert [p.name for p in folder.iterdir()] == ["last"]


def test_a_run_on_a_full_disk_goes_on_when_there_is_space(disk, needed, tiny_tree, record_property):
    """The command ends with status 1 and one line; what it had saved is whole, and it goes on from there."""
    record_property("full disk, a whole command", 1)
    tree = tiny_tree(runs=disk.at / "runs")
    tree["experiment"]["name"] = "long"
    tree["trainer"] |= {"save_every": 1, "loggers": []}
    config = disk.at.parent / "config.yaml"
    config.write_text(json.dumps(tree))
    words = ["train", "--config", str(config), "--resume", "auto"]
    disk.order("fill", at=str(disk.at), leave=int(1.6 * needed))
    assert disk.order("train", argv=words, log=str(disk.log)) == 1
    last = disk.log.read_text().strip().splitlines()[-1]
    assert last.startswith("error: ") and NEEDS.search(last), disk.log.read_text()[-2000:]
    states = disk.states()
    assert OLD.items() <= states.items() and set(states.values()) <= {"ok", "unfinished"}
    assert any(name.startswith("long/") for name in states)
    disk.order("empty", at=str(disk.at))
    assert disk.order("train", argv=words, log=str(disk.log)) == 0, disk.log.read_text()[-2000:]
    assert disk.states()["long/finetune/last"] == "ok"
