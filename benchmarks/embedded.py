"""What the embedded backbones know before any training: ``python benchmarks/embedded.py``.

Language model: questions on held-out scenes that are told as glimpses (bags of words, no pixels), exact answers.
Encoder: a ridge regression from single patch features to the attributes of the object that the patch shows, on
held-out panoramas; chance is one over the number of values.
"""

from collections import Counter
from itertools import islice

import numpy as np
import torch

from panollava.data.pack import pack, placeholder_mask
from panollava.data.synthetic.questions import QuestionSampler, chance_levels
from panollava.data.synthetic.raycast import render_erp
from panollava.data.synthetic.scene import Scene, sample_scene
from panollava.embedded import LANGUAGE, VISION
from panollava.embedded.corpus import glimpses
from panollava.embedded.pretrain_language import pool_words
from panollava.embedded.pretrain_vision import label_patches
from panollava.geometry import e2p_ring, render_views
from panollava.models.language import load_language
from panollava.models.vision import load_vision
from panollava.text.chat import IGNORE_INDEX, chat_format

SEED = 99
SCENES, BATCH, QUESTIONS = 40, 4, 26


def held_out(count: int) -> list[Scene]:
    """Return scenes of the test split."""
    scenes = (sample_scene(SEED, index) for index in range(100_000))
    return list(islice((scene for scene in scenes if scene.split == "test"), count))


@torch.no_grad()
def language_accuracy() -> tuple[Counter, Counter]:
    """Return right answers and questions per kind."""
    language, tokenizer = load_language(LANGUAGE, dtype=torch.float32)
    chat, sampler, rng = chat_format(tokenizer), QuestionSampler(SEED), np.random.default_rng(SEED)
    right, asked = Counter(), Counter()
    scenes = held_out(SCENES)
    for start in range(0, SCENES, BATCH):
        group = scenes[start : start + BATCH]
        talks = [sampler.draw(scene, count=QUESTIONS) for scene in group]
        bags = [glimpses(scene, rng) for scene in group]
        width = max(map(len, bags))
        bags = [(bag * width)[:width] for bag in bags]
        text = pack(chat, [[(q.question, q.answer) for q in talk] for talk in talks], vision_tokens=width)
        pooled = torch.cat([pool_words(chat, language, bag) for bag in bags])
        words = language.embed(text.ids).masked_scatter(placeholder_mask(text.ids)[..., None], pooled)
        said = language.head(language.hidden_states(words, text)).argmax(dim=-1)
        for row, talk in enumerate(talks):
            for branch, question in enumerate(talk, start=1):
                places = ((text.segments[row] == branch) & (text.labels[row] != IGNORE_INDEX)).nonzero()[:, 0]
                right[question.kind] += bool((said[row, places - 1] == text.labels[row, places]).all())
                asked[question.kind] += 1
    return right, asked


@torch.no_grad()
def encoder_accuracy() -> dict[str, tuple[float, float]]:
    """Return probe accuracy and chance per attribute."""
    encoder = load_vision(VISION, dtype=torch.float32)
    side = encoder.contract.image_px
    layout = e2p_ring(size_px=side, global_size_px=(side, 2 * side))
    features, objects = [], []
    for scene in held_out(SCENES):
        drawn = render_erp(scene, height=256)
        views = render_views(drawn.image, layout)
        for view, pixels in zip(layout.views, views, strict=True):
            patches = encoder(encoder.normalise(torch.from_numpy(pixels)[None]))[0].flatten(0, 1)
            owner = label_patches(view, drawn.instance)
            features += [patches[i] for i in np.flatnonzero(owner >= 0)]
            objects += [scene.objects[o] for o in owner[owner >= 0]]
    x = torch.cat([torch.stack(features), torch.ones(len(features), 1)], dim=1)
    train = torch.arange(len(x)) < 0.6 * len(x)  # whole scenes: the rest are panoramas the probe has not seen
    found = {}
    for name in ("colour", "shape", "material", "size"):
        values = sorted({getattr(o, name) for o in objects})
        target = torch.tensor([values.index(getattr(o, name)) for o in objects])
        one_hot = torch.nn.functional.one_hot(target).float()
        gram = x[train].T @ x[train] + 0.1 * torch.eye(x.shape[1])
        weights = torch.linalg.solve(gram, x[train].T @ one_hot[train])
        hit = (x[~train] @ weights).argmax(dim=1) == target[~train]
        found[name] = (float(hit.float().mean()), 1 / len(values))
    return found


def main() -> None:
    """Print both tables."""
    right, asked = language_accuracy()
    print(f"language model, {SCENES} held-out scenes told as glimpses")
    for kind in sorted(asked):
        print(f"  {kind:12s} {right[kind] / asked[kind]:.3f}   chance {chance_levels()[kind]:.3f}   n {asked[kind]}")
    print(f"  {'all':12s} {right.total() / asked.total():.3f}")
    print(f"encoder, one patch, {SCENES} held-out panoramas")
    for name, (accuracy, chance) in encoder_accuracy().items():
        print(f"  {name:12s} {accuracy:.3f}   chance {chance:.3f}")


if __name__ == "__main__":
    main()
