"""Every node has its words in seven languages and a page of help."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LANGUAGES = ("de", "en", "es", "fr", "ja", "ko", "zh")
FILES = [*(ROOT / "nodes").rglob("*.py"), *(ROOT / "stylus_ops").rglob("*.py"), ROOT / "__init__.py"]
SOURCES = "".join(path.read_text(encoding="utf-8") for path in FILES)
NODE_IDS = set(re.findall(r'node_id="(\w+)"', SOURCES))


def words(language: str, file: str = "nodeDefs") -> dict[str, Any]:
    return json.loads((ROOT / "locales" / language / f"{file}.json").read_text(encoding="utf-8"))


def leaves(tree: Any, path: str = "") -> dict[str, str]:
    """Every text of a tree of dictionaries by the way to it."""
    if isinstance(tree, str):
        return {path: tree}
    return {key: text for name, branch in tree.items() for key, text in leaves(branch, f"{path}/{name}").items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_is_missing_or_left_over_and_names_tell_nodes_apart(language: str) -> None:
    own, english = leaves(words(language)), leaves(words("en"))
    assert own.keys() == english.keys()
    assert all(text.strip() for text in own.values())
    if language != "en":
        told = [key for key in english if key.endswith(("/tooltip", "/description"))]
        assert [key for key in told if own[key] == english[key]] == []
    assert words(language).keys() == NODE_IDS
    names = [node["display_name"] for node in words(language).values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("table", ["stylus", "stylusNames", "stylusMessages"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_scripts_have_all_their_words(language: str, table: str) -> None:
    own, english = (words(name, "main")[table] for name in (language, "en"))
    assert own.keys() == english.keys()
    if table == "stylus":
        scripts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "web" / "js").glob("*.js"))
        by_state = {"play", "pause", "loading"}
        assert own.keys() == set(re.findall(r'say\("(\w+)"', scripts)) | by_state
    for key, text in own.items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", english[key]))
        assert table == "stylusNames" or language in ("en", "fr") or text != english[key]


def test_what_is_translated_is_what_nodes_and_blueprint_say() -> None:
    english = words("en", "main")
    said = re.sub(r'"\s+f?"', "", SOURCES)  # parts of one text
    for text in english["stylusMessages"].values():
        for part in re.split(r"^the (?:recording|style)|\{\w+\}| 1 window$| windows$", text):
            assert part in said
    blueprint = json.loads((ROOT / "subgraphs" / "Stylus.json").read_text(encoding="utf-8"))
    (subgraph,) = blueprint["definitions"]["subgraphs"]
    assert subgraph["description"] == english["stylus"]["blueprint"]
    assert english["stylusNames"].keys() >= {slot["name"] for slot in subgraph["outputs"]}


def test_names_and_messages_can_be_printed_on_a_windows_console() -> None:
    for text in (*leaves(words("en")).values(), SOURCES):
        text.encode("cp1252")


def test_every_node_has_a_page_of_help_with_an_example_and_a_picture_of_its_own() -> None:
    folder = ROOT / "web" / "docs"
    pages = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    pictures = {path.stem: path.read_bytes() for path in (folder / "pictures").iterdir()}
    assert pages.keys() == pictures.keys() == NODE_IDS
    assert len(set(pictures.values())) == len(pictures)
    for node, page in pages.items():
        assert page.startswith(f"# {words('en')[node]['display_name']}\n")
        assert f"](pictures/{node}.webp)" in page
        assert "\n1. " in page[page.index("\nExample:") :], node
        for template in re.findall(r"template \*\*(.+?)\*\*", page):
            assert (ROOT / "workflows" / f"{template}.json").is_file()
