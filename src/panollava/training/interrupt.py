"""Signals that ask a stage to stop: it finishes its step, writes a checkpoint, and ends with the right status.

::

    SIGTERM    a cluster or a person stops the job           exit status 143 (128 + 15)
    SIGINT     Ctrl-C                                        130 (128 + 2)
    SIGUSR1    SLURM's warning before the time limit         75 (EX_TEMPFAIL: try again), after scontrol requeue

A second signal stops at once, without a checkpoint.
"""

import logging
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from panollava.errors import Interrupted
from panollava.training.ranks import barrier, is_lead, planned

logger = logging.getLogger(__name__)

STATUS = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGUSR1: 75}
"""Exit status of a run that was stopped by a signal and can be resumed."""


class StopSignals:
    """Takes note of the first signal, from ``install`` to the end of its context, which leaves all as it was.

    Attributes:
        received: Number of the signal; 0 for none.
    """

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        self._before = {number: signal.getsignal(number) for number in STATUS}
        return self

    def __exit__(self, *_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def install(self) -> None:
        """Listen, again after somebody else has; a thread beside the main one cannot, and a signal is noted once."""
        if threading.current_thread() is not threading.main_thread() or self.received:
            return
        for number in STATUS:
            signal.signal(number, self._note)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.received = number
        logger.warning("%s: finishing the step and writing a checkpoint; once more stops at once", _name(number))
        for other in STATUS:
            signal.signal(other, signal.default_int_handler if other == signal.SIGINT else signal.SIG_DFL)
        if planned() > 1:  # sent to all processes of a job, it comes again from the agent, who ends what does not
            signal.signal(number, signal.SIG_IGN)


def stopped(number: int, *, stage: str, step: int, checkpoint: str) -> Interrupted:
    """Return what to raise after the checkpoint of a stopped stage was written; put a SLURM job into the queue again.

    Example:
        >>> stopped(15, stage="finetune", step=120, checkpoint="runs/a/finetune/step-000120").status
        143
    """
    if number == signal.SIGUSR1:
        if is_lead():
            requeue()
        barrier()  # a process that ends sooner would end the lead, and scontrol with it
    text = (
        f"stopped by {_name(number)} after step {step} of stage '{stage}'; go on with --resume auto from {checkpoint}"
    )
    return Interrupted(text, status=STATUS[signal.Signals(number)])


@contextmanager
def stopping() -> Iterator[None]:
    """Let the signals stop what runs inside wherever it is; a stage inside listens for itself and writes a checkpoint.

    Raises:
        Interrupted: With the status of the signal; a SLURM job is put into the queue again.
    """
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, note) for number in STATUS}
    try:
        yield
    except KeyboardInterrupt:
        if not received:
            raise
        if received[0] == signal.SIGUSR1:
            requeue()
        text = f"stopped by {_name(received[0])}; run again, it goes on"
        raise Interrupted(text, status=STATUS[signal.Signals(received[0])]) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def requeue() -> bool:
    """Put this SLURM job back into the queue, and return whether that was done; False outside SLURM."""
    array, job = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_JOB_ID")
    name = f"{array}_{os.environ.get('SLURM_ARRAY_TASK_ID', '')}" if array else job
    if name is None or not re.fullmatch(r"[0-9]+(_[0-9]+)?", name):
        return False
    try:
        done = subprocess.run(["scontrol", "requeue", name], check=False, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.warning("the job was not put back into the queue: %s; do it with 'scontrol requeue %s'", error, name)
        return False
    if done.returncode:
        logger.warning("scontrol requeue %s failed: %s", name, done.stderr.strip())
        return False
    logger.info("SLURM job %s is in the queue again", name)
    return True


def was_requeued() -> bool:
    """Whether this process belongs to a SLURM job that ran before, and so should resume."""
    return os.environ.get("SLURM_RESTART_COUNT", "0") not in ("", "0")


def _name(number: int) -> str:
    return signal.Signals(number).name
