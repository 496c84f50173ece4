"""Tell an allocation that failed from any other failure, and say what takes less memory.

PyTorch has an error of its own for GPUs only: its CPU allocator raises a plain ``RuntimeError``, cuBLAS another, NumPy
a ``MemoryError``, and OpenCV an error of its own. Nothing is imported here, so that every room may ask.
"""

from collections.abc import Sequence

_TEXTS = (
    "can't allocate memory",  # c10's CPU allocator on Linux
    "not enough memory: you tried to allocate",  # the same on Windows
    "out of memory",  # CUDA, MPS and HIP, from a kernel or an allocator
    "_STATUS_ALLOC_FAILED",  # cuBLAS, cuDNN
    "std::bad_alloc",
    "(-4:Insufficient memory)",  # OpenCV
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or on the CPU.

    Example:
        >>> is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"))
        True
        >>> is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
        False
    """
    if isinstance(error, MemoryError):
        return True
    foreign = isinstance(error, RuntimeError) or type(error).__module__ == "cv2"
    return foreign and any(text in str(error) for text in _TEXTS)


def advice(error: BaseException, *, doing: str, ways: Sequence[str]) -> str:
    """Return the message of a run that has to stop: what ran out of memory, what was asked for, what takes less.

    Args:
        error: What the allocator said.
        doing: What was done, for example ``stage finetune, step 12, 8 panoramas (3,104 tokens)``.
        ways: What to change, keys first, the most effective first; at least one.

    Example:
        >>> print(advice(MemoryError("no room"), doing="stage finetune", ways=["batch_size: 4 (now 8)"]))
        out of memory (stage finetune): no room
        What takes less, the first helps most:
          batch_size: 4 (now 8)
    """
    said = (str(error).strip().splitlines() or [type(error).__name__])[0]
    listed = "\n".join(f"  {way}" for way in ways)
    return f"out of memory ({doing}): {said}\nWhat takes less, the first helps most:\n{listed}"
