"""Training scenes and text for the embedded backbones: never a scene of the validation or test split."""

from collections.abc import Iterator

import numpy as np

from panollava.data.synthetic.captions import draw_captions
from panollava.data.synthetic.language import phrase
from panollava.data.synthetic.questions import Question, QuestionSampler
from panollava.data.synthetic.scene import Scene, SceneObject, sample_scene
from panollava.data.synthetic.vocabulary import bearing, distance_word, elevation
from panollava.geometry.sphere import sector

PRETRAIN_SEED = 20260
"""Namespace of the scenes for pretraining; experiments use other seeds, and the split is by content in any case."""


def training_scenes(start: int = 0) -> Iterator[Scene]:
    """Yield the scenes of the training split, from index ``start`` on."""
    index = start
    while True:
        scene = sample_scene(PRETRAIN_SEED, index)
        if scene.split == "train":
            yield scene
        index += 1


def conversation(sampler: QuestionSampler, scene: Scene, *, questions: int) -> list[Question]:
    """Return questions and captions about one scene; the two long captions take turns."""
    captions = draw_captions(scene, seed=PRETRAIN_SEED, sectors=1, queries=1, objects=2)
    return sampler.draw(scene, count=questions) + captions[scene.index % 2 :][:1] + captions[2:]


def object_words(item: SceneObject) -> list[str]:
    """Return the words that a glimpse of one object stands for."""
    return [item.size, item.material, item.colour, item.shape, distance_word(item.distance_m)]


def place_words(yaw_deg: float, pitch_deg: float) -> list[str]:
    """Return the words for a direction: bearing, height band and sector (none near a pole)."""
    words = [elevation(pitch_deg)]
    if abs(pitch_deg) < 60.0:
        words += [bearing(yaw_deg), *sector(yaw_deg, count=8).split()]
    return words


def glimpses(scene: Scene, rng: np.random.Generator, *, per_object: tuple[int, int] = (1, 4)) -> list[list[str]]:
    """Return a scene as a shuffled list of bags of words, the shape in which vision tokens will arrive.

    Each object is glimpsed several times, at directions within its own extent, now and then without one of its words
    (a token sees part of an object); empty directions give the words of the surroundings.
    """
    place = scene.place
    bags: list[list[str]] = []
    for item in scene.objects:
        for _ in range(int(rng.integers(per_object[0], per_object[1] + 1))):
            spread = 0.5 * item.angular_radius_deg
            pitch = float(np.clip(item.pitch_deg + rng.uniform(-spread, spread), -90, 90))
            yaw = item.yaw_deg + rng.uniform(-spread, spread) / max(0.2, np.cos(np.radians(item.pitch_deg)))
            words = object_words(item)
            if rng.random() < 0.2:
                words.remove(words[int(rng.integers(len(words)))])
            bags.append(words + place_words(float(yaw), pitch))
    for _ in range(int(rng.integers(8, 40))):
        pitch = float(np.degrees(np.arcsin(rng.uniform(-1, 1))))
        yaw = float(rng.uniform(-180, 180))
        if pitch < -8:
            seen = ["floor" if place.kind == "room" else "ground", place.floor]
        elif place.kind == "room":
            seen = ["walls", *place.upper.split()] if pitch < 25 else ["ceiling"]
        else:
            seen = ["sky", *place.upper.split()]
        bags.append(seen + place_words(yaw, pitch))
    return [bags[int(i)] for i in rng.permutation(len(bags))]


def texts(scene: Scene) -> list[str]:
    """Return plain sentences about a scene, for the tokenizer."""
    captions = draw_captions(scene, seed=PRETRAIN_SEED, sectors=8, queries=6, objects=9)
    said = [f"{c.question} {c.answer}" for c in captions]
    return [*said, *(phrase(o, ("size", "material", "colour", "shape")) for o in scene.objects)]
