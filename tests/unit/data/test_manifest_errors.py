"""What a manifest may not be: each refusal names file, row and column; no bytes give another exception."""

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from panollava.data.manifest import read_manifest
from panollava.errors import DataError

HEAD = "url,query,annotation\n"
GOOD = "a.jpg,q,r\n"


def turns(*pairs: tuple[str, str]) -> str:
    said = ", ".join(f'{{"from": "{who}", "value": "{text}"}}' for who, text in pairs)
    return f'{{"image": "a.jpg", "conversations": [{said}]}}'


# name, content, row, column, part of the message
CASES: list[tuple[str, str | bytes, int, str, str]] = [
    ("m.csv", "", 1, "url", "the file is empty"),
    ("m.csv", HEAD, 1, "url", "no samples"),
    ("m.csv", HEAD.encode("utf-16"), 1, "1", "UTF-16"),
    ("m.csv", (HEAD + GOOD).encode() + b"a.jpg,caf\xe9,r\n", 3, "10", "byte 0xe9 is not UTF-8"),
    ("m.csv", b"\xef\xbb\xbf" + HEAD.encode() + b"\xff", 2, "1", "byte 0xff is not UTF-8"),
    ("m.csv", "qery,url,annotation\nq,a.jpg,r\n", 1, "query", "nearest column is 'qery'"),
    ("m.csv", "url,query,anotation\n" + GOOD, 1, "annotation", "nearest column is 'anotation'"),
    ("m.csv", "ulr,query,annotation\n" + GOOD, 1, "url", "nearest column is 'ulr'"),
    ("m.csv", "url,task,annotation\n" + GOOD, 1, "query", "nearest column is 'task'"),
    ("m.csv", "url,query\na.jpg,q\n", 1, "annotation", "Columns present: url, query"),
    ("m.csv", "url,query,annotation,query\na.jpg,q,r,q\n", 1, "query", "there twice"),
    ("m.csv", "url,query,annotation,response\na.jpg,q,r,r\n", 1, "response", "both hold the answer"),
    ("m.csv", "url;query;annotation\na.jpg;q;r\n", 1, "url;query;annotation", "contains semicolons"),
    ("m.csv", "url\tquery\tannotation\n", 1, "url\tquery\tannotation", "name the file .tsv"),
    ("m.tsv", HEAD + GOOD, 1, "url,query,annotation", "means tabs"),
    ("m.csv", HEAD + GOOD + "a.jpg,q\n", 3, "annotation", "2 cells and the heading 3"),
    ("m.csv", HEAD + "a.jpg,q,r,more\n", 2, "annotation", "4 cells and the heading 3"),
    ("m.csv", HEAD + GOOD + 'a.jpg,q,"open\n' + GOOD, 3, "url", "double quote"),
    ("m.csv", HEAD + 'a.jpg,"q"x,r\n', 2, "url", "double quote"),
    ("m.csv", HEAD + "\n" + ",q,r\n", 3, "url", "no image"),
    ("m.csv", HEAD + "nan,q,r\n", 2, "url", "no image"),
    ("m.csv", HEAD + "a.jpg,  ,r\n", 2, "query", "no question"),
    ("m.csv", "url,instruction,response\na.jpg,NaN,r\n", 2, "instruction", "no question"),
    ("m.csv", HEAD + "a.jpg,q,\n", 2, "annotation", "no answer"),
    ("m.csv", HEAD + "a.jpg,q,nan\n", 2, "annotation", "require_answer=False"),
    ("m.csv", HEAD + "a.jpg,q\0,r\n", 2, "query", "NUL"),
    ("m.csv", HEAD + "b.jpg,q,r\n", 2, "url", "no image file"),
    ("m.csv", HEAD + "sub\\a.jpg,q,r\n", 2, "url", "forward slashes"),
    ("m.csv", HEAD + "../a.jpg,q,r\n", 2, "url", "leaves the image root"),
    ("m.csv", HEAD + "sub/../../a.jpg,q,r\n", 2, "url", "leaves the image root"),
    ("m.csv", HEAD + ".,q,r\n", 2, "url", "no image file"),
    ("m.csv", HEAD + "x" * 5000 + ",q,r\n", 2, "url", "no image file"),
    ("m.csv", HEAD + "https://h.example/b.jpg,q,r\n", 2, "url", "nothing is downloaded"),
    ("m.csv", HEAD + "https://h.example/,q,r\n", 2, "url", "names no file"),
    ("m.csv", HEAD + "https://h.example/..%2F..,q,r\n", 2, "url", "nothing is downloaded"),
    ("m.csv", HEAD + "http://[x/a.jpg,q,r\nhttp://y/a.jpg,q,r\n", 3, "url", "one local file cannot stand"),
    ("m.csv", HEAD + "file:///b.jpg,q,r\n", 2, "url", "nothing is downloaded"),
    ("m.json", "", 1, "image", "a list of items"),
    ("m.json", "[]", 1, "url", "no samples"),
    ("m.json", '{"image": "a.jpg"}', 1, "image", "rename it to .jsonl"),
    ("m.json", '[\n{"image": "a.jpg",\n "query": }]', 2, "11", "not valid JSON"),
    ("m.json", '[\n{"image": "a.jpg", "query": "q", "answer": "r"}\n', 3, "image", "the file is cut"),
    ("m.json", '[{"image": "a.jpg", "query": "q", "answer": "r"}]\nx', 2, "image", "text after the list"),
    ("m.json", "[\n\n3]", 3, "image", "not 3"),
    ("m.json", "[" * 100000, 1, "image", "nested too deeply"),
    ("m.jsonl", "[" * 100000, 1, "image", "rename a list to .json"),
    ("m.jsonl", '{"a":' * 100000, 1, "image", "nested too deeply"),
    ("m.jsonl", '{"image": "a.jpg", "image": "b.jpg"}', 1, "image", "the key 'image' is there twice"),
    ("m.jsonl", '{"image": "a.jpg"} {}', 1, "image", "text after the item"),
    ("m.jsonl", '\n{"image": "a.jpg", "qurey": "q", "answer": "r"}', 2, "query", "nearest column is 'qurey'"),
    ("m.jsonl", '{"image": ["a.jpg"], "query": "q", "answer": "r"}', 1, "image", "it is a list"),
    ("m.jsonl", '{"image": "a.jpg", "query": "q", "answer": true}', 1, "answer", "true or false"),
    ("m.jsonl", '{"image": "a.jpg", "query": "q", "answer": NaN}', 1, "answer", "must be text"),
    ("m.jsonl", '{"image": "a.jpg", "query": "q", "answer": null}', 1, "answer", "no answer"),
    ("m.jsonl", '{"image": "a.jpg", "query": "\\ud800", "answer": "r"}', 1, "query", "surrogate"),
    ("m.jsonl", '{"image": "a.jpg", "query": "q", "answer": ' + "9" * 5000 + "}", 1, "image", "digits"),
    ("m.jsonl", '{"query": "q", "conversations": []}', 1, "url", "no column holds the image"),
    ("m.jsonl", turns(), 1, "conversations", "list of turns"),
    ("m.jsonl", turns(("gpt", "r")), 1, "conversations", "must be from 'human'"),
    ("m.jsonl", turns(("system", "s"), ("human", "q")), 1, "conversations", "system turns"),
    ("m.jsonl", turns(("human", "q"), ("human", "q")), 1, "conversations", "must be from 'gpt'"),
    ("m.jsonl", turns(("human", "<image>"), ("gpt", "r")), 1, "conversations", "no question"),
    ("m.jsonl", turns(("human", "<image><image>q"), ("gpt", "r")), 1, "conversations", "more than once"),
    ("m.jsonl", turns(("human", "q"), ("gpt", "<image>")), 1, "conversations", "must not contain <image>"),
    ("m.jsonl", turns(("human", "q"), ("gpt", "")), 1, "conversations", "no answer"),
    ("m.jsonl", '{"image": "a.jpg", "conversations": ["q"]}', 1, "conversations", "a turn is"),
]


@pytest.mark.parametrize(
    ("name", "content", "row", "column", "message"),
    CASES,
    ids=[f"{i}-{case[4]}" for i, case in enumerate(CASES)],
)
def test_a_bad_manifest_is_named_by_file_row_and_column(
    tmp_path: Path, name: str, content: str | bytes, row: int, column: str, message: str
):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(b"")
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as caught:
        read_manifest(path, image_root=tmp_path / "images")
    place = re.compile(rf"{re.escape(str(path))}, row {row}\b[^']*?, column '?{re.escape(column)}\b")
    assert place.match(str(caught.value)), caught.value
    assert message in str(caught.value)


def test_an_unknown_suffix_or_absent_file_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"m\.jsonlines: unknown .*Did you mean '\.jsonl'"):
        read_manifest(tmp_path / "m.jsonlines")
    (tmp_path / "folder.csv").mkdir()
    for name in ("absent.csv", "folder.csv"):
        with pytest.raises(DataError, match=rf"{name}: the manifest cannot be read"):
            read_manifest(tmp_path / name)


def test_many_bad_rows_are_listed_together_and_counted(tmp_path: Path):
    path = tmp_path / "m.csv"
    path.write_text(HEAD + "".join(f"gone{i}.jpg,q,r\n" for i in range(8)))
    with pytest.raises(DataError) as caught:
        read_manifest(path)
    lines = str(caught.value).splitlines()
    assert [f"row {i + 2}," in line for i, line in enumerate(lines[:5])] == [True] * 5
    assert lines[5:] == ["... and 3 more unusable rows."]


def test_a_path_relative_to_the_current_folder_is_hinted_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.jpg").write_bytes(b"")
    (tmp_path / "data/m.csv").write_text(HEAD + "data/a.jpg,q,r\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"image_root='\.' would find it"):
        read_manifest("data/m.csv")
    assert len(read_manifest("data/m.csv", image_root=".")) == 1


CELLS = st.sampled_from(["url", "query", "annotation", "a.jpg", ",", "\n", "\r", '"', "\t", ";", "://", "..", "%2e"])
TURN = '[{"from":"human","value":"q"}'
JSONISH = st.sampled_from(['{"image":', '"a.jpg"', '"query":', '"conversations":', TURN, "]", "}", ",", "[", "1"])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from([".csv", ".tsv", ".json", ".jsonl"]),
    head=st.sampled_from([b"", HEAD.encode(), b'[{"image": "a.jpg", ']),
    body=st.one_of(
        st.binary(max_size=200),
        st.lists(CELLS, max_size=40).map(lambda parts: "".join(parts).encode()),
        st.lists(JSONISH, max_size=30).map(lambda parts: "".join(parts).encode()),
        st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
    ),
    check=st.booleans(),
)
@example(suffix=".csv", head=HEAD.encode(), body=b"\0,q,r", check=True)
def test_any_bytes_load_or_give_a_data_error(suffix: str, head: bytes, body: bytes, check: bool):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"m{suffix}"
        path.write_bytes(head + body)
        try:
            samples = read_manifest(path, check_images=check, require_answer=False)
        except DataError as error:
            assert str(path) in str(error)
            return
    assert samples
    assert all(sample.query for sample in samples)
    assert len({sample.sample_id for sample in samples}) == len(samples)


@pytest.mark.parametrize("named", ["link.jpg", "folder/a.jpg", "https://live.example/link.jpg", "gone.jpg"])
@pytest.mark.parametrize("check", [True, False])
def test_a_link_may_not_lead_out_of_the_root_unless_links_are_meant(tmp_path: Path, named: str, check: bool):
    for folder in ("outside", "root/inside"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.jpg").write_bytes(b"")
    root = tmp_path / "root"
    (root / "link.jpg").symlink_to("../outside/a.jpg")
    (root / "folder").symlink_to(tmp_path / "outside")
    (root / "gone.jpg").symlink_to("/nowhere/a.jpg")
    (root / "within.jpg").symlink_to("inside/a.jpg")
    (tmp_path / "door").symlink_to(root)
    path = root / "m.csv"
    path.write_text(HEAD + f"{named},q,r\n")
    if named != "gone.jpg" or not check:
        with pytest.raises(DataError, match=r"m\.csv, row 2, column 'url': '.*' is a link that leads out"):
            read_manifest(path, check_images=check)
        assert len(read_manifest(path, check_images=check, follow_links=True)) == 1
    path.write_text(HEAD + "within.jpg,q,r\ninside/a.jpg,q,r\n")
    assert len(read_manifest(path, image_root=tmp_path / "door", check_images=check)) == 2
