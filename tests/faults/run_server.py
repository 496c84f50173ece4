"""A process that has everything imported, and forks a real ``panollava`` command for each line it is sent.

Importing torch, Lightning and transformers takes seconds, a tiny training run less: a hundred runs that are killed and
resumed would import for ten minutes. A line is JSON: {"argv", "log", "die_at"}. The answer is two lines: the process,
and, when it has ended, its exit status (negative: the signal that killed it).

``die_at`` kills the process with SIGKILL at so many of the moments that make up a durable save: before and after every
fsync, rename and removal of a directory. None: never.
"""

import json
import os
import signal
import sys

import lightning  # noqa: F401
import peft  # noqa: F401
import torch
import transformers.models.qwen2.modeling_qwen2
import transformers.models.siglip.modeling_siglip  # noqa: F401

import panollava.evaluation.report
import panollava.workflow
import panollava.workflow.runner  # noqa: F401
from panollava.cli.program import main


def die_at(moment: int) -> None:
    """Kill this process at a moment of a save."""
    import shutil

    left = iter(range(moment, -1, -1))

    def fatal(call):  # type: ignore[no-untyped-def]
        def wrapped(*args, **kwargs):  # type: ignore[no-untyped-def]
            for when in ("before", "after"):
                if next(left, -1) == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                if when == "before":
                    result = call(*args, **kwargs)
            return result

        return wrapped

    os.fsync, os.rename, os.replace = fatal(os.fsync), fatal(os.rename), fatal(os.replace)
    shutil.rmtree = fatal(shutil.rmtree)


def child(order: dict) -> int:
    """Run the command as a shell would, its output in a file."""
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    torch.set_num_threads(1)
    if order.get("die_at") is not None:
        die_at(order["die_at"])
    return main(order["argv"])


def tell(number: int) -> None:
    """Answer."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def serve() -> None:
    """Answer orders until there are no more."""
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            status = 70
            try:
                status = child(order)
                sys.stdout.flush()
            finally:
                os._exit(status)
        tell(pid)
        _, status = os.waitpid(pid, 0)
        tell(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    serve()
