"""One scorer in a process of its own: ``metrics_worker.py METHOD FOLDER OUT``, started by `metrics.py`.

Each method is a function of the corpus that imports and loads what it needs, and returns the function that scores;
the CPU time of both is measured. A score has values per item, or a text.
"""

import os
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from metrics_data import Corpus

Score = Callable[[], Any]


def _pycoco(data: Corpus, scorer: Any) -> Score:
    references = {i: [" ".join(words) for words in group] for i, group in enumerate(data.given)}
    predictions = {i: [" ".join(words)] for i, words in enumerate(data.said)}
    return lambda: scorer.compute_score(references, predictions)


def pycoco_cider(data: Corpus) -> Score:
    from pycocoevalcap.cider.cider import Cider

    score = _pycoco(data, Cider())
    return lambda: list(score()[1])


def our_cider(data: Corpus) -> Score:
    from panollava.metrics.cider import cider

    said, given = [" ".join(words) for words in data.said], [[" ".join(words) for words in g] for g in data.given]
    return lambda: cider([text.split() for text in said], [[text.split() for text in g] for g in given]).tolist()


def pycoco_bleu(data: Corpus) -> Score:
    from pycocoevalcap.bleu.bleu import Bleu

    scorer = Bleu(4)
    references = {i: [" ".join(words) for words in group] for i, group in enumerate(data.given)}
    predictions = {i: [" ".join(words)] for i, words in enumerate(data.said)}

    def score() -> Any:
        corpus, items = scorer.compute_score(references, predictions, verbose=0)
        return [*map(float, corpus), *(value for order in items for value in order)]

    return score


def our_coco_bleu(data: Corpus) -> Score:
    from panollava.metrics.bleu import coco_bleu

    said, given = [" ".join(words) for words in data.said], [[" ".join(words) for words in g] for g in data.given]

    def score() -> Any:
        corpus, items = coco_bleu([t.split() for t in said], [[t.split() for t in g] for g in given])
        return [*corpus, *items.T.reshape(-1).tolist()]

    return score


def pycoco_rouge(data: Corpus) -> Score:
    from pycocoevalcap.rouge.rouge import Rouge

    score = _pycoco(data, Rouge())
    return lambda: list(map(float, score()[1]))


def our_coco_rouge(data: Corpus) -> Score:
    from panollava.metrics.rouge import coco_rouge_l

    said, given = [" ".join(words) for words in data.said], [[" ".join(words) for words in g] for g in data.given]
    return lambda: coco_rouge_l(said, given).tolist()


def nltk_meteor(data: Corpus) -> Score:
    import nltk
    from nltk.corpus import wordnet
    from nltk.translate.meteor_score import meteor_score

    nltk.data.path[:0] = [folder for folder in [os.environ.get("BENCH_NLTK_DATA")] if folder]
    wordnet.ensure_loaded()
    return lambda: [meteor_score(group, words) for words, group in zip(data.said, data.given, strict=True)]


def our_meteor(data: Corpus) -> Score:
    from panollava.metrics.meteor import meteor
    from panollava.metrics.wordnet import load_wordnet

    load_wordnet()
    return lambda: meteor(data.said, data.given).tolist()


def _rouge_score(data: Corpus, *, stems: bool) -> Score:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=stems)
    both = list(zip(data.predictions, data.references, strict=True))
    return lambda: [scorer.score_multi(group, text)["rougeL"].fmeasure for text, group in both]


def _our_rouge(data: Corpus, *, stems: bool) -> Score:
    from panollava.metrics.rouge import rouge_corpus, rouge_l, stemmed

    change = stemmed if stems else list

    def score() -> Any:
        rest = iter(change(rouge_corpus([text for group in data.references for text in group])))
        given = [[next(rest) for _ in group] for group in data.references]
        return rouge_l(change(rouge_corpus(data.predictions)), given).tolist()

    return score


def sacrebleu_itself(data: Corpus) -> Score:
    from sacrebleu.metrics import BLEU

    width = max(map(len, data.references))
    streams = [[group[i] if i < len(group) else None for group in data.references] for i in range(width)]
    metric = BLEU(force=True)
    return lambda: f"{metric.corpus_score(data.predictions, streams)} {metric.get_signature()}"


def our_sacrebleu(data: Corpus) -> Score:
    from panollava.metrics.bleu import sacrebleu_bleu

    def score() -> Any:
        found = sacrebleu_bleu(data.predictions, data.references)
        return f"{found.text} {found.signature}"

    return score


def our_four(data: Corpus) -> Score:
    from panollava.metrics import compute_text_metrics

    names = ["bleu4", "meteor", "rougeL", "cider"]
    return lambda: list(compute_text_metrics(data.predictions, data.references, metrics=names).scores.values())


METHODS: dict[str, Callable[[Corpus], Score]] = {
    "pycocoevalcap CIDEr": pycoco_cider,
    "our CIDEr": our_cider,
    "pycocoevalcap BLEU": pycoco_bleu,
    "our COCO BLEU": our_coco_bleu,
    "pycocoevalcap ROUGE-L": pycoco_rouge,
    "our COCO ROUGE-L": our_coco_rouge,
    "NLTK METEOR": nltk_meteor,
    "our METEOR": our_meteor,
    "rouge_score": lambda data: _rouge_score(data, stems=False),
    "our ROUGE-L": lambda data: _our_rouge(data, stems=False),
    "rouge_score, stems": lambda data: _rouge_score(data, stems=True),
    "our ROUGE-L, stems": lambda data: _our_rouge(data, stems=True),
    "sacrebleu": sacrebleu_itself,
    "our sacrebleu BLEU": our_sacrebleu,
    "our four": our_four,
}

FROM_TEXTS = ("rouge_score", "our ROUGE-L", "rouge_score, stems", "our ROUGE-L, stems", "sacrebleu")
FROM_TEXTS += ("our sacrebleu BLEU", "our four")


def main() -> None:
    """Run one method on one core; write its CPU seconds and its values."""
    started = time.process_time()  # the start of the interpreter, and of this file's imports
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    # no more than the scorer reads: what else is in memory, it would pay for in garbage collection
    data = pickle.loads((Path(sys.argv[2]) / ("texts" if sys.argv[1] in FROM_TEXTS else "tokens")).read_bytes())
    ready = time.process_time()
    score = METHODS[sys.argv[1]](data)
    loaded = time.process_time()
    values = score()
    scored = time.process_time()
    found = {"start": started, "load": loaded - ready, "score": scored - loaded, "values": values}
    Path(sys.argv[3]).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main()
