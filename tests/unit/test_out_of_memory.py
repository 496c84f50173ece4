"""Allocations that fail are told from every other failure, by the errors that libraries really raise."""

import cv2
import numpy as np
import pytest
import torch

from panollava.errors import OutOfMemory
from panollava.out_of_memory import advice, is_out_of_memory

TOO_MUCH = 10**15


def refused(work):
    with pytest.raises(BaseException) as caught:
        work()
    return caught.value


def test_what_the_allocators_of_this_machine_raise_is_known():
    small = np.zeros((4, 4, 3), np.uint8)
    assert is_out_of_memory(refused(lambda: torch.empty(TOO_MUCH)))
    assert is_out_of_memory(refused(lambda: np.empty(TOO_MUCH)))
    assert is_out_of_memory(refused(lambda: cv2.resize(small, (30_000_000, 30_000_000))))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("[enforce fail] not enough memory: you tried to allocate 12 bytes."),
        RuntimeError("std::bad_alloc"),
        OutOfMemory("one question is too much"),
    ],
)
def test_what_others_raise_is_known(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 shapes"), ValueError("out of memory"), KeyError("x"), cv2.error("(-215)")]
)
def test_another_failure_is_another_failure(error):
    assert not is_out_of_memory(error)


def test_the_advice_names_what_was_done_and_what_takes_less():
    message = advice(MemoryError(), doing="stage finetune", ways=["a.b: 4 (now 8)", "c.d: true"])
    assert message.splitlines() == [
        "out of memory (stage finetune): MemoryError",
        "What takes less, the first helps most:",
        "  a.b: 4 (now 8)",
        "  c.d: true",
    ]
