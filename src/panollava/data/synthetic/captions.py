"""Captions as instruction and response: what the resampler stage learns to say before it is questioned."""

import numpy as np

from panollava.data.synthetic import language
from panollava.data.synthetic.questions import Question
from panollava.data.synthetic.scene import Scene
from panollava.geometry.sphere import SECTORS8

CAPTION_KINDS = ("caption", "caption_direction", "caption_sector", "caption_query", "caption_object")


def draw_captions(scene: Scene, *, seed: int, sectors: int = 2, queries: int = 2, objects: int = 2) -> list[Question]:
    """Return captions of one scene: one global, one by direction, and some by sector, query and object."""
    rng = np.random.Generator(np.random.Philox(key=[seed + 2, scene.index]))
    made = [
        ("caption", "describe the panorama.", language.caption_global(scene)),
        ("caption_direction", "describe every direction.", language.caption_by_direction(scene)),
    ]
    for name in rng.permutation(SECTORS8)[:sectors]:
        made.append(("caption_sector", f"list what is at {name}.", language.caption_sector(scene, str(name))))
    inside = ("floor", "walls") if scene.place.kind == "room" else ("ground", "sky")
    asked = [q for q in language.QUERIES if q not in ("floor", "walls", "ground", "sky") or q in inside]
    for query in rng.permutation(asked)[:queries]:
        made.append(("caption_query", f"{query}.", language.caption_query(scene, str(query))))
    named = [(o, names) for o in scene.objects if (names := language.unique_names(scene, o))]
    for index in rng.permutation(len(named))[:objects]:
        item, names = named[int(index)]
        question = f"tell me about the {language.pick(rng, names)}."
        made.append(("caption_object", question, language.caption_object(item)))
    return [Question(kind=kind, template=kind, question=q, answer=a) for kind, q, a in made]
