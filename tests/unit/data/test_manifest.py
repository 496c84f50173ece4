"""Every layout loads, mixes and groups; see test_manifest_errors for what is refused."""

import json
from collections import Counter
from pathlib import Path

import pytest

from panollava.data.formats.record import DEFAULT_QUERY
from panollava.data.manifest import DEFAULT_KIND, Sample, group_by_image, mix, read_manifest
from panollava.errors import DataError


def put(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def images(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.csv", "url,query,annotation\na.jpg,sky,Clear.\n"),
        ("m.csv", "url,instruction,response\na.jpg,sky,Clear.\n"),
        ("m.csv", "image_path,original_query,reference\na.jpg,sky,Clear.\n"),
        ("m.csv", " URL ,Query, Annotation\r\na.jpg , sky , Clear.\r\n"),
        ("m.csv", b"\xef\xbb\xbfurl,query,annotation\na.jpg,sky,Clear.\n"),
        ("m.CSV", "index,annotation,query,url\n7,Clear.,sky,a.jpg\n"),
        ("m.csv", 'url,query,annotation\r"a.jpg","sky","Clear."\r'),
        ("m.tsv", "url\tquery\tannotation\na.jpg\tsky\tClear.\n"),
        ("m.jsonl", '{"image": "a.jpg", "query": "sky", "answer": "Clear."}\n\n'),
        ("m.json", '[{"image": "a.jpg", "query": "sky", "answer": "Clear.", "extra": [1]}]'),
        (
            "m.json",
            '[{"image":"a.jpg","conversations":[{"from":"human","value":"<image>\\nsky"},'
            '{"from":"gpt","value":"Clear."}]}]',
        ),
        (
            "m.jsonl",
            '{"image":"a.jpg","conversations":[{"from":"user","value":"sky\\n<image>"},'
            '{"from":"assistant","value":"Clear."}]}',
        ),
    ],
)
def test_every_layout_gives_the_same_sample(tmp_path: Path, name: str, text: str | bytes):
    images(tmp_path, "a.jpg")
    path = put(tmp_path, name, text)
    [sample] = read_manifest(path)
    assert (sample.image, sample.image_id) == (tmp_path / "a.jpg", "a.jpg")
    assert (sample.query, sample.answer, sample.kind) == ("sky", "Clear.", DEFAULT_KIND)
    assert (sample.prediction, sample.source) == (None, str(path))


def test_the_prediction_layout_keeps_predictions_as_written(tmp_path: Path):
    text = (
        "sample_id,image_path,original_query,prediction,reference,kind,is_error\n"
        "s1,a.jpg,q, spaced ,r,count,False\ns2,a.jpg,q,,r,,False\n"
    )
    first, second = read_manifest(put(tmp_path, "p.csv", text), check_images=False)
    assert (first.prediction, first.answer, first.kind, first.sample_id) == (" spaced ", "r", "count", "s1")
    assert (second.prediction, second.kind) == ("", DEFAULT_KIND)


def test_a_conversation_gives_one_sample_per_question(tmp_path: Path):
    texts = ("<image>\nWhat is ahead?", "A door.", "And behind?", "A wall.")
    said = [{"from": who, "value": text} for who, text in zip(("human", "gpt") * 2, texts, strict=True)]
    item = {"id": 7, "image": "a.jpg", "conversations": said}
    path = put(tmp_path, "m.json", json.dumps([item, {**item, "id": "x"}], indent=1))
    samples = read_manifest(path, check_images=False)
    assert [(s.sample_id, s.query, s.answer) for s in samples[:2]] == [
        ("7.1", "What is ahead?", "A door."),
        ("7.2", "And behind?", "A wall."),
    ]
    lines = path.read_text().splitlines()
    starts = [number for number, line in enumerate(lines, start=1) if line == " {"]
    assert [s.row for s in samples] == [starts[0], starts[0], starts[1], starts[1]]


def test_an_open_question_ends_a_conversation_only_without_required_answers(tmp_path: Path):
    text = '{"image": "a.jpg", "conversations": [{"from": "human", "value": "Where?"}]}'
    path = put(tmp_path, "m.jsonl", text)
    [sample] = read_manifest(path, check_images=False, require_answer=False)
    assert sample.answer is None
    with pytest.raises(DataError, match=r"row 1, column 'conversations': no answer"):
        read_manifest(path, check_images=False)


def test_rows_are_the_lines_of_an_editor(tmp_path: Path):
    text = 'url,query,annotation\n\na.jpg,q,"two\nlines"\n   \nb.jpg,q,one\n'
    samples = read_manifest(put(tmp_path, "m.csv", text), check_images=False)
    assert [(s.row, s.sample_id) for s in samples] == [(3, "m:3"), (6, "m:6")]
    assert samples[0].answer == "two\nlines"


def test_sample_ids_are_unique_even_where_the_file_repeats_them(tmp_path: Path):
    lines = ['{"image": "a.jpg", "query": "q", "answer": "r", "id": "same"}'] * 3
    samples = read_manifest(put(tmp_path, "m.jsonl", "\n".join(lines)), check_images=False)
    assert [s.sample_id for s in samples] == ["same", "same@2", "same@3"]


def test_answers_may_be_absent_when_not_required(tmp_path: Path):
    text = "url,query,annotation\na.jpg,q,\nb.jpg,q,NaN\nc.jpg,q,None\n"
    samples = read_manifest(put(tmp_path, "m.csv", text), check_images=False, require_answer=False)
    assert [s.answer for s in samples] == [None, None, "None"]
    [sample] = read_manifest(put(tmp_path, "n.csv", "url,query\na.jpg,q\n"), check_images=False, require_answer=False)
    assert sample.answer is None


def test_a_plain_caption_list_asks_the_default_question(tmp_path: Path):
    files = {"m.csv": "url,caption\na.jpg,A hall.\n", "m.jsonl": '{"image": "a", "caption": "A hall."}'}
    for name, text in files.items():
        [sample] = read_manifest(put(tmp_path, name, text), check_images=False)
        assert (sample.query, sample.answer) == (DEFAULT_QUERY, "A hall.")


def test_a_url_stands_for_a_local_file_of_its_name(tmp_path: Path):
    images(tmp_path, "images/a b.jpg", "c.jpg")
    text = (
        "url,query,annotation\nhttps://live.example/1/a%20b.jpg?size=o,q,r\nhttp://live.example/c.jpg,q,r\nc.jpg,q,r\n"
    )
    samples = read_manifest(put(tmp_path, "m.csv", text), image_root=tmp_path / "images", check_images=False)
    assert [s.image_id for s in samples] == ["a b.jpg", "c.jpg", "c.jpg"]  # the files that are there
    root_first = put(tmp_path, "n.csv", "\n".join(text.splitlines()[:3]))
    found = read_manifest(root_first, image_root=tmp_path / "images")
    assert [s.image for s in found] == [tmp_path / "images/a b.jpg", tmp_path / "c.jpg"]


def test_image_ids_do_not_depend_on_where_the_root_is(tmp_path: Path):
    images(tmp_path, "one/sub/a.jpg", "two/sub/a.jpg")
    ids = set()
    for root in ("one", "two"):
        absolute = tmp_path / root / "sub/a.jpg"
        text = f"url,query,annotation\nsub/a.jpg,q,r\n./sub/../sub/a.jpg,q,r\n{absolute},q,r\n"
        samples = read_manifest(put(tmp_path, "m.csv", text), image_root=tmp_path / root)
        assert len({s.image for s in samples}) == 1
        ids |= {s.image_id for s in samples}
    assert ids == {"sub/a.jpg"}


def make(name: str, count: int) -> list[Sample]:
    return [Sample(Path(f"{name}{i}"), "q", "a", "open", f"{name}{i}", name, name, i) for i in range(count)]


def test_grouping_keeps_first_appearance_order():
    a, b, c = make("x", 3)
    again = Sample(a.image, "other", "a", "open", "z", "x", "x", 9)
    groups = group_by_image([b, a, c, again])
    assert [g.image for g in groups] == [b.image, a.image, c.image]
    assert groups[1].samples == (a, again)


def test_a_mixture_holds_each_row_as_often_as_its_weight_says():
    sources = [make("a", 10), make("b", 7), make("c", 4), make("d", 5)]
    mixed = mix(sources, weights=[1, 2, 0.5, 0], seed=3)
    counts = Counter(s.source for s in mixed)
    assert counts == {"a": 10, "b": 14, "c": 2}
    assert Counter(Counter(s.sample_id for s in mixed if s.source == "b").values()) == {2: 7}
    assert max(Counter(s.sample_id for s in mixed if s.source in "ac").values()) == 1


def test_a_mixture_is_a_pure_function_of_seed_and_epoch():
    sources = [make("a", 20), make("b", 20)]

    def order(seed: int, epoch: int) -> list[str]:
        return [s.sample_id for s in mix(sources, weights=[1, 0.5], seed=seed, epoch=epoch)]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)
    halves = [{name for name in order(1, epoch) if name.startswith("b")} for epoch in (0, 1)]
    assert len(halves[0]) == len(halves[1]) == 10
    assert halves[0].isdisjoint(halves[1])
    assert order(1, 0) != sorted(order(1, 0))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1], "2 sources and 1 weights"),
        ([1, -1], "weight -1 of source 1"),
        ([float("nan"), 1], "weight nan of source 0"),
        ([1, float("inf")], "weight inf of source 1"),
        ([1, 1], "source 1 has weight 1 and no samples"),
        ([0, 0], "the mixture is empty"),
    ],
)
def test_impossible_mixtures_are_refused(weights: list[float], message: str):
    with pytest.raises(DataError, match=message):
        mix([make("a", 2), []], weights=weights, seed=0)
