"""Stanford CoreNLP 3.6.0, which SPICE parses captions with: where it lies, and that it is what it should be.

CoreNLP is under the GPL and its models are on no package index: they are a folder on the user's machine, put there
by ``panollava metrics install spice`` or named by the user. No checksum of the original is known to this project,
so nothing is compared with one. Instead the two jars are opened and looked through, and their sha256 is written
down when they are first used; other bytes in the same place are refused from then on.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from panollava.errors import MetricUnavailable
from panollava.user_cache import cache_folder

VERSION = "3.6.0"
CODE, MODELS = f"stanford-corenlp-{VERSION}.jar", f"stanford-corenlp-{VERSION}-models.jar"
FOLDER_VARIABLE = "PANOLLAVA_CORENLP"
INSTALL = "panollava metrics install spice"
CONTENTS: Mapping[str, tuple[str, ...]] = {
    CODE: (
        "edu/stanford/nlp/pipeline/StanfordCoreNLP.class",
        "edu/stanford/nlp/semgraph/semgrex/SemgrexPattern.class",
        "edu/stanford/nlp/trees/UniversalEnglishGrammaticalRelations.class",
    ),
    MODELS: (
        "edu/stanford/nlp/models/lexparser/englishPCFG.ser.gz",
        "edu/stanford/nlp/models/ner/english.all.3class.distsim.crf.ser.gz",
    ),
}
"""What SPICE reads out of each jar, by its name."""


@dataclass(frozen=True, slots=True)
class CoreNlp:
    """The two jars of a folder, looked through, and the sha256 of each."""

    folder: Path
    sha256: Mapping[str, str]

    @property
    def jars(self) -> tuple[Path, Path]:
        """The code and the models."""
        return self.folder / CODE, self.folder / MODELS


def installed_folder() -> Path:
    """Return the folder that the install command fills."""
    return cache_folder() / f"corenlp-{VERSION}"


def find_corenlp(folder: Path | None = None) -> CoreNlp:
    """Return CoreNLP out of a folder, checked.

    Args:
        folder: where the two jars lie; None: the folder named by PANOLLAVA_CORENLP, else the installed one.

    Raises:
        MetricUnavailable: A jar is missing, is of another version, is damaged, or is not the one used before.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    where = folder or (Path(named) if named else installed_folder())
    if not all((where / name).is_file() for name in (CODE, MODELS)):
        raise MetricUnavailable(_missing(where, asked=bool(folder or named)))
    for name in (CODE, MODELS):
        check_jar(where / name, contents=CONTENTS[name])
    digests = {name: sha256_of(where / name) for name in (CODE, MODELS)}
    for name, digest in digests.items():
        remember(str((where / name).resolve()), digest, where=cache_folder() / "corenlp-sha256.json")
    return CoreNlp(where, digests)


def _missing(where: Path, *, asked: bool) -> str:
    others = sorted(path.name for path in where.glob("stanford-corenlp-*.jar")) if where.is_dir() else []
    found = f" It holds {', '.join(others)}." if others else ""
    how = "Put them there, or name another folder" if asked else f"Run '{INSTALL}', or name their folder"
    return (
        f"SPICE needs Stanford CoreNLP, {CODE} and {MODELS} (exactly this version), and {where} does not hold both."
        f"{found}"
        f" {how} with {FOLDER_VARIABLE} or evaluation.spice.corenlp."
    )


def check_jar(path: Path, *, contents: tuple[str, ...]) -> None:
    """Raise MetricUnavailable unless the file is a jar that holds everything in ``contents``."""
    try:
        with zipfile.ZipFile(path) as jar:
            names = set(jar.namelist())
    except (zipfile.BadZipFile, OSError) as error:
        raise MetricUnavailable(
            f"{path} is not a readable jar ({error}); a download that was cut short looks like this. Delete it and"
            f" run '{INSTALL}'."
        ) from error
    for name in contents:
        if name not in names:
            raise MetricUnavailable(
                f"{path} does not hold {name}, which SPICE reads. Use the jars of the full CoreNLP {VERSION}."
            )


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remember(key: str, digest: str, *, where: Path) -> None:
    """Write a digest down under a key on first use; refuse another one later.

    Raises:
        MetricUnavailable: Another digest was written down before, or the record cannot be written or read.

    Example:
        >>> import tempfile
        >>> record = Path(tempfile.mkdtemp()) / "sha256.json"
        >>> remember("a.jar", "11", where=record)
        >>> remember("a.jar", "11", where=record)
    """
    known = _records(where)
    if known.get(key) == digest:
        return
    if known.setdefault(key, digest) != digest:
        raise MetricUnavailable(
            f"{key} has the sha256 {digest}, but {known[key]} when it was first used: the file was changed. If that"
            f" was meant, delete its line in {where}."
        )
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        part = where.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(known, indent=1, sort_keys=True), encoding="utf-8")
        part.replace(where)
    except OSError as error:
        raise MetricUnavailable(
            f"cannot write {where}: {error.strerror}. Name a folder that can be written in PANOLLAVA_CACHE."
        ) from error


def _records(where: Path) -> dict[str, str]:
    if not where.exists():
        return {}
    try:
        known = json.loads(where.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MetricUnavailable(f"{where} cannot be read ({error}). Delete it to start a new record.") from error
    if not isinstance(known, dict):
        raise MetricUnavailable(f"{where} is not a record of checksums. Delete it to start a new one.")
    return known
