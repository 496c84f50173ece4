"""Texts follow their panorama: scenes turned and asked again give the transported questions and answers."""

import re
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from panollava.data.synthetic import language
from panollava.data.synthetic.captions import draw_captions
from panollava.data.synthetic.questions import QUESTION_KINDS
from panollava.data.synthetic.scene import sample_scene
from panollava.errors import DataError
from panollava.geometry.sphere import SECTORS4, SECTORS8
from panollava.text.direction_grammar import holds_direction
from panollava.text.directions import allowed_step_deg, conversation_freedom, freedom, transport
from panollava.text.turn import Freedom, Turn

QUARTERS, EIGHTHS = (90.0, -180.0, -90.0), (45.0, 135.0, -135.0, -45.0)
TURNS = [Turn(yaw, mirror) for yaw in (0.0, *QUARTERS, *EIGHTHS) for mirror in (False, True)][1:]
FOUR_SIDED = {"direction4", "view", "existence"}  # an eighth turn shows their questions other borders
SCENES = [sample_scene(23, index) for index in range(25)]


def turned_scene(scene, turn):
    """Return the scene as it stands after a turn: every yaw moved, nothing else."""
    return replace(scene, objects=tuple(replace(o, yaw_deg=turn.yaw_of(o.yaw_deg)) for o in scene.objects))


def every_question(scene):
    """Return all (kind, question, answer) that can be asked: every draw of a name, colour or direction is made."""
    found = set()
    for choice in range(8):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(language, "pick", lambda _rng, options, i=choice: options[i % len(options)])
            for kind, make in QUESTION_KINDS.items():
                found |= {(kind, question, answer) for _, question, answer in make(scene, None)}
    return found


def clauses(text):
    """Return a caption as the set of its clauses, each with its listing sorted: order may follow the directions."""
    return sorted(tuple(sorted(re.split(r", | and |: | is | are ", clause))) for clause in text.rstrip(".").split(". "))


def captions(scene):
    """Return every caption of every kind as (kind, question, answer)."""
    made = {("caption_sector", f"list what is at {n}.", language.caption_sector(scene, n)) for n in SECTORS8}
    made |= {(q.kind, q.question, q.answer) for q in draw_captions(scene, seed=0, sectors=8, queries=99, objects=99)}
    return made


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_a_turned_scene_asks_the_transported_questions(turn):
    compared = set()
    for scene in SCENES:
        asked, asked_then = every_question(scene), every_question(turned_scene(scene, turn))
        for kind in QUESTION_KINDS:
            before = {(q, a) for k, q, a in asked if k == kind}
            after = {(q, a) for k, q, a in asked_then if k == kind}
            free = {pair for pair in before if conversation_freedom([pair]).allows(turn)}
            carried = {(transport(q, turn), transport(a, turn, question=q)) for q, a in free}
            assert carried <= after
            if turn.yaw_deg not in EIGHTHS or kind not in FOUR_SIDED:
                assert carried == after
            compared |= {kind} if free else set()
    assert set(QUESTION_KINDS) - compared == ({"direction4"} if turn.yaw_deg in EIGHTHS else set())


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_a_turned_scene_is_told_by_the_transported_captions(turn):
    compared = set()
    for scene in SCENES:
        after = {q: a for _, q, a in captions(turned_scene(scene, turn))}
        for kind, question, answer in captions(scene):
            if not conversation_freedom([(question, answer)]).allows(turn):
                continue
            told = transport(answer, turn, question=question)
            asked = transport(question, turn)
            if asked in after:  # names of objects are drawn
                compared.add(kind)
                assert clauses(told) == clauses(after[asked])
    barred = {"caption"} if turn.yaw_deg in EIGHTHS else set()
    assert {"caption", "caption_direction", "caption_sector", "caption_query", "caption_object"} - compared == barred


def test_every_text_of_surroundqa_is_understood():
    for scene in SCENES:
        for kind, question, answer in every_question(scene) | captions(scene):
            free = conversation_freedom([(question, answer)])
            assert free.folds != 1 and free.mirror, (kind, question, answer)


@pytest.mark.parametrize(
    ("text", "turn", "wanted"),
    [
        ("What is to my left?", Turn(90), "What is in front of me?"),
        ("To the left is a bed.", Turn(90), "In front is a bed."),
        ("Front-Right", Turn(90), "Behind-Right"),
        ("back left", Turn(-45), "back"),
        ("BEHIND ME", Turn(90), "TO MY LEFT"),
        ("It is to your back right.", Turn(180), "It is to your front left."),
        ("it is behind you to the left", Turn(45), "it is to your left"),
        ("There is a sofa to the back left.", Turn(45), "There is a sofa to the left."),
        ("straight ahead is a door", Turn(90), "to the right is a door"),
        ("straight ahead is a door", Turn(mirror=True), "straight ahead is a door"),
        ("On the left side there is a rug.", Turn(180), "On the right side there is a rug."),
        ("a lamp to the viewer's left", Turn(90), "a lamp in front of the viewer"),
        ("bearing 45", Turn(10), "bearing 55"),
        ("bearing 350.5", Turn(10), "bearing 000.5"),
        ("at yaw -90", Turn(-100), "at yaw 170"),
        ("yaw: +45\u00b0, pitch: 10\u00b0", Turn(100), "yaw: +145\u00b0, pitch: 10\u00b0"),
        ("It is at your 3 o'clock.", Turn(-120), "It is at your 11 o'clock."),
        ("right 45 degrees", Turn(-45), "stay"),
        ("turn left 90 degrees to face the bed.", Turn(45), "turn left 45 degrees to face the bed."),
        ("turn around", Turn(-90), "right 90 degrees"),
        ("facing north-east", Turn(37), "facing north-east"),
        ("the lamp is left of the bed", Turn(37), "the lamp is left of the bed"),
        ("the lamp is left of the bed", Turn(37, mirror=True), "the lamp is right of the bed"),
        ("a cup in his Left hand", Turn(0, mirror=True), "a cup in his Right hand"),
        ("the cat hides behind the sofa", Turn(37, mirror=True), "the cat hides behind the sofa"),
        ("to the left of me is a bed", Turn(180), "to my right is a bed"),
    ],
)  # fmt: skip
def test_transport(text, turn, wanted):
    assert transport(text, turn) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "All right, it is red.", "the door is left open", "right now it rains", "nothing is left over",
        "a lamp right next to the sofa", "the right of way", "the front door is open", "what is above me?",
        "a 360 degree panorama", "stayed for dinner", "a bright frontier is upright", "is it near the ceiling?",
    ],
)  # fmt: skip
def test_other_words_are_not_touched(text):
    assert freedom(text) == Freedom()
    assert transport(text, Turn(33.3, mirror=True)) == text


@pytest.mark.parametrize(
    "text",
    [
        "from left to right: a bed, a lamp", "the leftmost chair", "on the left wall hangs a picture",
        "the lamp is left", "turn left", "if i turn left 90 degrees, what is behind me?",
        "seen from the door, the bed is to the left",
        "a box at [0.1, 0.2, 0.4, 0.5]", "at 45 degrees", "it is 3 o'clock", "a cube left behind", "Right, it is red",
        "the bed is to the left of the room", "the back of the room",
        "when i turn to face the lamp, what is behind me?", "rotate clockwise", "in front and to the right",
        "heading 30", "in the middle of the picture", "at a bearing below 90", "make a half turn",
        "what crosses the seam?",
        "\uc67c\ucabd\uc5d0 \uc758\uc790\uac00 \uc788\ub2e4",
    ],
)  # fmt: skip
def test_what_is_not_understood_does_not_turn(text):
    assert freedom(text).folds == 1
    assert allowed_step_deg(["a red cube", text]) is None
    with pytest.raises(DataError, match="Allowed: none"):
        transport(text, Turn(90))


def test_a_mirror_turns_the_compass_and_letters_over():
    for text in ("what lies to the north?", "what does the sign say?", "the number plate"):
        assert freedom(text) == Freedom(0, mirror=False)
        assert transport(text, Turn(90)) == text
        with pytest.raises(DataError, match="no mirroring"):
            transport(text, Turn(mirror=True))


def test_the_error_says_what_is_allowed():
    message = (
        r"'to my left' cannot follow a turn of yaw 45 degrees because of 'to my left'. Allowed: multiples of 90 degr"
    )
    with pytest.raises(DataError, match=message):
        transport("to my left", Turn(45))


def test_an_answer_is_read_with_its_question():
    facing = "facing the bed, is the lamp to the left or to the right?"
    assert transport("right", Turn(90), question=facing) == "right"
    assert transport("right", Turn(90, mirror=True), question=facing) == "left"
    assert transport("right", Turn(90)) == "behind"
    assert transport("right", Turn(45), question="in which of eight directions is the bed?") == "behind right"
    assert transport("045", Turn(-90), question="at which bearing is the bed?") == "315"
    assert freedom("about 45", question="at which bearing is the bed?").folds == 1
    assert freedom("about 45", question="how many?") == Freedom()
    assert freedom("2", question="how many lamps are at bearing 045?") == Freedom()
    assert freedom("stay", question="what does the dog not do?") == Freedom()
    assert transport("stay", Turn(45), question="how must i turn to face the bed?") == "right 45 degrees"


def test_steps():
    assert allowed_step_deg([]) == 0.0
    assert allowed_step_deg(["front right", "red"]) == 45.0
    assert allowed_step_deg(["which side: front, right, behind or left?"]) == 90.0
    assert allowed_step_deg(["is it to the left or to the right?"]) == 180.0
    assert allowed_step_deg(["at 3 o'clock"]) == 30.0
    assert allowed_step_deg(["at 3 o'clock", "front left"]) == 90.0
    assert allowed_step_deg(["bearing 12.5"]) == 0.1


CANONICAL = st.one_of(
    st.sampled_from(SECTORS4),
    st.sampled_from(SECTORS8).map(lambda name: f"front left: a bed. {name}: a lamp."),
    st.sampled_from(["what is in front of me?", "what is to my right?", "what is behind me?", "what is to my left?"]),
    st.sampled_from(["stay", "turn around", "right 45 degrees", "left 135 degrees", "left 90 degrees"]),
    st.integers(0, 359).map(lambda n: f"at bearing {n:03d}"),
    st.integers(-1800, 1799).map(lambda n: f"yaw {n / 10:.1f}"),
    st.integers(1, 12).map(lambda n: f"it is at {n} o'clock."),
    st.sampled_from(["left of the bed", "is it to the left or to the right?", "in front of the bed", "red"]),
)
ANGLES = st.integers(-12, 12).map(lambda n: 15.0 * n)
ALL_TURNS = st.builds(Turn, ANGLES, st.booleans())


@given(CANONICAL, ALL_TURNS, ALL_TURNS)
@settings(max_examples=400, deadline=None)
def test_turns_add_up_and_can_be_undone(text, a, b):
    free = freedom(text)
    assert transport(text, Turn()) == text
    assume(free.allows(a))
    there = transport(text, a)
    assume(
        freedom(there) == free
    )  # "front left: ..., front right: ..." turned by 45 no longer shows that it tells eight
    assert transport(there, a.inverse()) == text
    assume(free.allows(b))
    assert transport(there, b) == transport(text, a.then(b))


@given(CANONICAL)
def test_two_mirrorings_are_none(text):
    mirror = Turn(mirror=True)
    assert transport(transport(text, mirror), mirror) == text


@given(st.text(max_size=60), ALL_TURNS)
def test_any_text_is_carried_or_refused(text, turn):
    if freedom(text).allows(turn):
        carried = transport(text, turn)
        assert holds_direction(text) or carried == text or "stay" in text.lower()
    else:
        with pytest.raises(DataError):
            transport(text, turn)


@given(ALL_TURNS, ALL_TURNS, st.floats(-180, 179))
def test_turns_move_a_yaw_as_they_say(a, b, yaw):
    def apart(x, y):
        return abs((x - y + 180.0) % 360.0 - 180.0)

    assert apart(a.then(b).yaw_of(yaw), b.yaw_of(a.yaw_of(yaw))) < 1e-9
    assert apart(a.inverse().yaw_of(a.yaw_of(yaw)), yaw) < 1e-9
