"""Tables as people really save them."""

from pathlib import Path

import pytest

from stylus_ops.pipeline.table import read_table

COLUMNS = ("content", "style", "style_start")


def read(tmp_path: Path, data: bytes) -> list[tuple[int, dict[str, str]]]:
    (tmp_path / "a.csv").write_bytes(data)
    return read_table("manifest", tmp_path / "a.csv", COLUMNS[:2], COLUMNS)


@pytest.mark.parametrize(
    "data",
    [
        b"content,style,style-start\n,,\na,b,\n , ,\n",
        b"\xef\xbb\xbf content , style ,style_start\r\n\r\n a , b,\r\n",
        b"content,style,style_start,\n,,,\na,b,,\n",
        b"content;style;style_start\n;\na;b\n;\n",
    ],
)
def test_a_table_is_read_by_its_columns_and_its_empty_rows_are_left_out(tmp_path: Path, data: bytes) -> None:
    assert read(tmp_path, data) == [(3, {"content": "a", "style": "b", "style_start": ""})]
    assert read(tmp_path, b"content;style\na,1;b\n") == [(2, {"content": "a,1", "style": "b"})]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "has no column content, style: name it in the first line"),
        (b"content,style,volume\n", "has unknown columns volume: use content, style, style_start"),
        ("content,style\na,b".encode("utf-16"), "save it as CSV in UTF-8"),
    ],
)
def test_other_files_are_refused_in_words(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(tmp_path, data)
