"""A process that writes checkpoints on disks that are full, or may not be written: real ones, in its own namespace.

Started by ``unshare -rm``, so that it may mount and nobody else sees it. A line is JSON, ``[order, arguments]``; so is
the answer. What saves or trains runs in a fork, whose status is that of a ``panollava`` command.
"""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from run_server import child

from panollava.checkpoints import durable
from panollava.checkpoints.format import load_checkpoint, save_checkpoint
from panollava.checkpoints.listing import list_checkpoints
from panollava.checkpoints.state import TrainingState
from panollava.errors import CheckpointError


def mount(at: str, kib: int) -> None:
    """Mount an empty disk of that size."""
    Path(at).mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", at], check=True)


def unmount(at: str) -> None:
    """Take a disk away."""
    subprocess.run(["umount", at], check=True)


def read_only(at: str) -> None:
    """Let a disk be read only."""
    subprocess.run(["mount", "-o", "remount,ro", at], check=True)


def free(at: str) -> int:
    """Return the free bytes of a disk."""
    disk = os.statvfs(at)
    return disk.f_bavail * disk.f_frsize


def fill(at: str, leave: int) -> None:
    """Fill a disk until so many bytes are free."""
    filler = Path(at) / "filler"
    filler.unlink(missing_ok=True)
    filler.write_bytes(bytes(max(0, free(at) - leave)))


def empty(at: str) -> None:
    """Remove what filled a disk."""
    (Path(at) / "filler").unlink()


def states(root: str) -> dict[str, str]:
    """Return every checkpoint below a root with its state, and what is left over; every byte is read."""
    found = {
        str(listing.folder.relative_to(root)): listing.state for listing in list_checkpoints(Path(root), verify=True)
    }
    half = [str(path.relative_to(root)) for path in Path(root).rglob("*.part") if path.is_dir()]
    return found | dict.fromkeys(half, "left over")


def save(
    checkpoint: str, folder: str, *, log: str, step: int, believed: int | None = None, limit: int | None = None,
) -> int:  # fmt: skip
    """Save the model of a checkpoint to another folder, in a fork; return its status.

    Args:
        checkpoint: What to save.
        folder: Where.
        log: File for the message of an error.
        step: Step to write into it.
        believed: Free bytes as the check before writing sees them; None: the truth.
        limit: Largest file that the process may write, in bytes.
    """
    model, meta = load_checkpoint(Path(checkpoint))
    tensors = {parameter: value for _, parameter, value in model.component_parameters()}

    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

    def write() -> int:
        if believed is not None:
            durable._free = lambda _: believed
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
        try:
            save_checkpoint(
                model, Path(folder), config=meta.config, stage=meta.stage, epoch=1, step=step,
                trained=set(meta.components), training=TrainingState(tensors, {"steps": step}), finished=False,
            )  # fmt: skip
        except CheckpointError as error:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))  # the message is a file, too
            os.write(said, str(error).encode())
            return 1
        return 0

    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    return _forked(write)


def train(argv: list[str], log: str) -> int:
    """Run a command, in a fork; return its status."""
    return _forked(lambda: child({"argv": argv, "log": log}))


def _forked(call: Any) -> int:
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            status = call()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def answer(what: Any) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


ORDERS = {f.__name__: f for f in (mount, unmount, read_only, free, fill, empty, states, save, train)}


if __name__ == "__main__":
    answer("ready")
    for line in sys.stdin:
        order, arguments = json.loads(line)
        answer(ORDERS[order](**arguments))
