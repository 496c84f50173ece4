"""Predictions to a CSV file that `read_manifest` reads back."""

import csv
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from panollava.data.manifest import Sample
from panollava.errors import DataError

PREDICTION_COLUMNS = ("image_path", "original_query", "prediction", "reference", "kind", "sample_id")
LIKELIHOOD_COLUMNS = ("nll", "tokens")


def write_predictions_csv(
    path: str | Path, rows: Iterable[Sample], *, likelihood: Iterable[tuple[float, int]] | None = None
) -> None:
    """Write predictions, whole or not at all.

    The rows go to a file beside `path` that is flushed to disk and then renamed, so a reader, or a crash,
    meets the old file or the new one and never half of one. Missing folders are made.

    Args:
        path: The `.csv` file; an existing one is replaced.
        rows: Samples with `prediction` set (`dataclasses.replace(sample, prediction=text)`); an empty
            prediction is written as an empty cell, and so is an absent reference.
        likelihood: Per row the summed negative log-likelihood of its reference, in nats, and the number of its
            tokens, for the columns of `LIKELIHOOD_COLUMNS`; None: no such columns.

    Raises:
        DataError: A sample without prediction, text that cannot be written as UTF-8, or a path that cannot be
            written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, temporary, rows, likelihood)
    except OSError as error:
        raise DataError(
            f"{path}: the predictions cannot be written ({error.strerror or error}). Check the folder and the disk."
        ) from error


def _write(path: Path, temporary: Path, rows: Iterable[Sample], likelihood: Iterable[tuple[float, int]] | None) -> None:
    """Write to the temporary file, flush it to disk, rename it; leave nothing behind on failure."""
    try:
        with temporary.open("x", encoding="utf-8", newline="") as file:
            plain = csv.writer(file, lineterminator="\n")
            quoted = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
            plain.writerow((*PREDICTION_COLUMNS, *(LIKELIHOOD_COLUMNS if likelihood is not None else ())))
            for cells in _table(path, rows, likelihood):
                # before Python 3.13 a lone carriage return is not quoted, and would end the row on reading
                (quoted if any("\r" in cell for cell in cells) else plain).writerow(cells)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _table(path: Path, rows: Iterable[Sample], likelihood: Iterable[tuple[float, int]] | None) -> Iterator[list[str]]:
    """Yield the cells of each row."""
    if likelihood is None:
        for sample in rows:
            yield _cells(path, sample)
        return
    for sample, (nll, tokens) in zip(rows, likelihood, strict=True):
        yield [*_cells(path, sample), f"{nll:.4f}", str(tokens)]


def _cells(path: Path, sample: Sample) -> list[str]:
    """Return a sample's cells in the order of `PREDICTION_COLUMNS`."""
    if sample.prediction is None:
        raise DataError(f"{path}: sample '{sample.sample_id}' has no prediction. Predict it or leave it out.")
    cells = [
        sample.image.as_posix(),
        sample.query,
        sample.prediction,
        sample.answer or "",
        sample.kind,
        sample.sample_id,
    ]
    for column, cell in zip(PREDICTION_COLUMNS, cells, strict=True):
        if not cell.isascii() and any("\ud800" <= character <= "\udfff" for character in cell):
            raise DataError(
                f"{path}: sample '{sample.sample_id}', column '{column}': half a surrogate pair cannot be "
                "written as UTF-8. Decode the tokens with errors='replace'."
            )
    return cells
