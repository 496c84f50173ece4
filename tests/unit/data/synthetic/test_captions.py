import re
from collections import Counter

import pytest

from panollava.data.synthetic.captions import CAPTION_KINDS, draw_captions
from panollava.data.synthetic.language import (
    QUERIES,
    caption_by_direction,
    caption_global,
    caption_object,
    caption_query,
    caption_sector,
    unique_names,
)

EIGHT = ["front", "front right", "right", "behind right", "behind", "behind left", "left", "front left"]
OBJECT = re.compile(r"(red|green|blue|yellow|purple|cyan|orange|black) (ball|cube|cylinder|cone|pyramid)\b")


def mentions(text):
    return Counter(OBJECT.findall(text))


def looks(objects):
    return Counter((o["colour"], o["shape"]) for o in objects)


def sides(record):
    return [o for o in record["objects"] if abs(o["pitch_deg"]) < 60]


def sector_of(item, count):
    return round(item["yaw_deg"] * count / 360) % count


def test_the_caption_mentions_every_object_around_once(scenes, records):
    for scene, record in zip(scenes, records, strict=True):
        caption = caption_global(scene)
        assert mentions(caption) == looks(sides(record))
        for number, start in enumerate(("in front", "to the right", "behind", "to the left")):
            (told,) = re.findall(rf"[.] {start} (?:is|are) ([^.]*)[.]", caption)
            assert mentions(told) == looks(o for o in sides(record) if sector_of(o, 4) == number)


def test_the_caption_by_direction_mentions_every_object_once_where_it_is(scenes, records):
    for scene, record in zip(scenes, records, strict=True):
        told = dict(part.split(": ") for part in caption_by_direction(scene).removesuffix(".").split(". "))
        assert list(told) == [*EIGHT, "above", "below"]
        for number, name in enumerate(EIGHT):
            assert mentions(told[name]) == looks(o for o in sides(record) if sector_of(o, 8) == number)
            assert caption_sector(scene, name) == f"{told[name]}."
        assert mentions(told["above"]) == looks(o for o in record["objects"] if o["pitch_deg"] >= 60)
        assert mentions(told["below"]) == looks(o for o in record["objects"] if o["pitch_deg"] <= -60)
        assert (told["above"] == "nothing") == (not mentions(told["above"]))


def test_objects_of_a_sector_are_told_from_left_to_right(scenes):
    for scene in scenes:
        for number, name in enumerate(("front", "right", "behind", "left")):
            start = {"front": "in front", "behind": "behind"}.get(name, f"to the {name}")
            (told,) = re.findall(rf"[.] {start} (?:is|are) ([^.]*)[.]", caption_global(scene))
            inside = [o for o in scene.objects if not o.is_polar and round(o.yaw_deg / 90) % 4 == number]
            inside.sort(key=lambda o, centre=90 * number: (o.yaw_deg - centre + 180) % 360)
            assert OBJECT.findall(told) == [(o.colour, o.shape) for o in inside]


def test_the_caption_of_an_object_tells_the_truth(scenes):
    for scene in scenes[:60]:
        for item in scene.objects:
            told = caption_object(item)
            assert f"{item.size} {item.material} {item.colour} {item.shape}," in told
            assert told.endswith(f"{round(item.distance_m)} metres away.")
            if found := re.search(r"bearing (\d{3})", told):
                assert abs((int(found[1]) - item.yaw_deg + 180) % 360 - 180) <= 7.5
                assert f", {EIGHT[round(item.yaw_deg / 45) % 8]}, " in told
            else:
                assert item.is_polar and (", above, overhead" in told or ", below, underfoot" in told)


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_is_answered_by_what_fits_it(scenes, records, query):
    for scene, record in zip(scenes[:40], records, strict=False):
        told = caption_query(scene, query)
        if query in ("floor", "ground"):
            assert record["place"]["floor"] in told
        elif query in ("walls", "sky"):
            assert record["place"]["upper"] in told
        elif query == "location":
            assert record["place"]["floor"] in told and record["place"]["upper"] in told
        elif query in ("above", "below"):
            high = 1 if query == "above" else -1
            assert mentions(told) == looks(o for o in record["objects"] if o["pitch_deg"] * high >= 60)
        else:
            fitting = [o for o in record["objects"] if query in (o["colour"], f"{o['shape']}s")]
            assert mentions(told) == looks(fitting)


def test_an_unknown_query_names_the_nearest(scenes):
    with pytest.raises(ValueError, match=r"unknown query 'flor'\. Did you mean 'floor'"):
        caption_query(scenes[0], "flor")


def test_unique_names_fit_one_object_and_hide_what_is_asked(scenes):
    for scene in scenes[:60]:
        for item in scene.objects:
            for name in unique_names(scene, item, hide="colour"):
                assert item.colour not in name.split()
                words = [word for word in name.split() if word != "object"]
                fits = [o for o in scene.objects if set(words) <= {o.size, o.material, o.colour, o.shape}]
                assert fits == [item]


def test_captions_are_drawn_reproducibly_and_of_every_kind(scenes):
    drawn = [draw_captions(scene, seed=5) for scene in scenes[:30]]
    assert drawn == [draw_captions(scene, seed=5) for scene in scenes[:30]]
    assert drawn != [draw_captions(scene, seed=6) for scene in scenes[:30]]
    assert {caption.kind for captions in drawn for caption in captions} == set(CAPTION_KINDS)
    for captions in drawn:
        assert len({caption.question for caption in captions}) == len(captions)
