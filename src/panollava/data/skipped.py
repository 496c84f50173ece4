"""``skipped.json`` of a run: which images were left out of training, validation and test, and why.

::

    [{"split": "train", "source": "train.csv", "image": "a.jpg", "reason": "...", "rows": [2, 3]}, ...]

The file is there only where something was left out.
"""

import json
from collections.abc import Sequence, Set
from dataclasses import asdict
from pathlib import Path

from panollava.data.bad_images import Skipped
from panollava.data.whole_file import write_whole
from panollava.errors import DataError

SKIPPED = "skipped.json"


def record_skipped(
    folder: Path, skipped: Sequence[Skipped], *, split: str, sources: Set[str] | None, known: Set[str]
) -> None:
    """List what was left out in ``skipped.json`` of a folder.

    Args:
        folder: Of a run; made if there is something to list.
        skipped: What was left out.
        split: Of which part of the data: train, val or test.
        sources: The manifests that were read for it: what is listed of them is replaced; None: all of that split.
        known: Manifests of the run; what is listed of others is of an earlier run, and removed.

    Raises:
        DataError: If the file that is there is not such a list.
        OSError: If it cannot be written.
    """
    held = read_skipped(folder)
    if not held and not skipped:
        return
    kept = [
        (part, one)
        for part, one in held
        if one.source in known and not (part == split and (sources is None or one.source in sources))
    ]
    listed = [*kept, *((split, one) for one in skipped)]
    file = folder / SKIPPED
    if not listed:
        file.unlink(missing_ok=True)
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps([{"split": part, **asdict(one)} for part, one in listed], indent=1).encode())


def read_skipped(folder: Path) -> list[tuple[str, Skipped]]:
    """Return what ``skipped.json`` of a folder lists: (split, what); nothing where there is no such file.

    Raises:
        DataError: If the file is not such a list.
    """
    file = folder / SKIPPED
    try:
        listed = json.loads(file.read_text(encoding="utf-8"))
        return [
            (
                str(row["split"]),
                Skipped(str(row["image"]), str(row["reason"]), str(row["source"]), tuple(map(int, row["rows"]))),
            )
            for row in listed
        ]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{file}: not a list of skipped images ({error!r}). Delete it; it is written again.") from error
