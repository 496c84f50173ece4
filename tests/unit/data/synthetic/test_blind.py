import pytest

from panollava.data.synthetic.blind import blind_scores
from panollava.data.synthetic.questions import Question, QuestionSampler, chance_levels
from panollava.data.synthetic.scene import sample_scene

# Known leaks, in points above a uniform guess: four and more alike objects are rare, and "nothing" is the
# answer about an empty side. Raise neither.
ALLOWED = {"count": 0.12, "view": 0.30}


@pytest.fixture(scope="module")
def scores():
    sampler = {split: QuestionSampler(7) for split in ("train", "test")}
    asked = {"train": [], "test": []}
    for index in range(320):
        scene = sample_scene(7, index)
        split = "train" if index < 240 else "test"
        asked[split] += sampler[split].draw(scene, count=24)
    return blind_scores(asked["train"], asked["test"])


def test_a_reader_of_words_alone_is_near_chance(scores):
    assert set(scores) == set(chance_levels())
    for kind, score in scores.items():
        assert score.questions > 100
        # three standard deviations of a test with so few questions, plus two points
        noise = 3 * (score.chance * (1 - score.chance) / score.questions) ** 0.5
        assert score.leak < ALLOWED.get(kind, 0.0) + noise + 0.02, (kind, score)


def ask(answer, question, kind="size"):
    return Question(kind=kind, template=kind, question=question, answer=answer)


def test_a_leak_in_one_word_is_found():
    train = [
        ask("small" if i % 2 else "large", f"what size is the {'red' if i % 2 else 'blue'} thing {i}?")
        for i in range(60)
    ]
    test = [ask("small", "what size is the red thing?"), ask("large", "what size is the blue thing?")]
    score = blind_scores(train, test)["size"]
    assert (score.words, score.majority, score.commonest) == (1.0, 0.5, 0.5)
    assert score.leak == 0.5


def test_a_leak_between_two_names_is_found():
    pairs = [("large cube", "small cone"), ("small ball", "large cone"), ("large ball", "small cube")]
    asked = [
        ask(f"the {a if a.startswith('large') else b}", f"which is nearer, the {a} or the {b}?", "distance")
        for first in pairs
        for a, b in (first, first[::-1])
    ]
    assert blind_scores(asked, asked[:4])["distance"].words == 1.0


def test_a_repeated_question_is_found():
    train = [ask("small", "what size is the cube?")] * 3 + [ask("large", "what size is the ball?")] * 4
    test = [ask("small", "what size is the cube?")]
    score = blind_scores(train, test)["size"]
    assert (score.majority, score.questions) == (1.0, 1)
    assert blind_scores(train, [ask("x", "y", "caption")]) == {}
