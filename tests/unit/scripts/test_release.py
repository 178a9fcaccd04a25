"""No release without the three values that only the owner can fill, nor one that the changelog doesn't know."""

import re
import shutil
from pathlib import Path

import pytest

from scripts.release import ROOT, TOKEN, address_drawings, described, what_is_missing

REPOSITORY = "https://github.com/someone/stylus"
HEADING = "## [1.2.3] - 2026-11-24"


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """The repository's own description with the owner's values in it."""
    for name in ("pyproject.toml", "CITATION.cff", "README.md", "docs/icon.png", "docs/banner.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{HEADING}\n\n- First.\n", encoding="utf-8")
    replace(tmp_path, r'^version = ".*"$', 'version = "1.2.3"')
    replace(tmp_path, r"^version: .*$", "version: 1.2.3", "CITATION.cff")
    replace(tmp_path, r'^PublisherId = ".*"$', 'PublisherId = "someone"')
    replace(tmp_path, r"^\[project\.scripts\]$", f'[project.urls]\nRepository = "{REPOSITORY}"\n\n[project.scripts]')
    replace(tmp_path, "https://github.com/OWNER/REPOSITORY", REPOSITORY, "README.md")
    with (tmp_path / "CITATION.cff").open("a", encoding="utf-8") as citation:
        citation.write(f"repository-code: {REPOSITORY}\n")
    return tmp_path


def replace(root: Path, pattern: str, by: str, name: str = "pyproject.toml") -> None:
    text, count = re.subn(pattern, by, (root / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count
    (root / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "pattern", "by"),
    [
        ("pyproject.toml", 'PublisherId = "someone"', 'PublisherId = "@me"'),
        ("README.md", f"git clone {REPOSITORY}", "git clone https://github.com/OWNER/REPOSITORY"),
        ("CITATION.cff", "^repository-code: .*$", ""),
        ("pyproject.toml", "docs/icon.png", "docs/none.png"),
        ("CHANGELOG.md", r"\[1\.2\.3\]", "[1.2.2]"),
        ("CITATION.cff", r"^version: .*$", "version: 0.1.0"),
        ("CHANGELOG.md", r"^# Changelog$", "- Forgotten."),
    ],
)
def test_each_missing_value_refuses_the_release(filled: Path, name: str, pattern: str, by: str) -> None:
    replace(filled, pattern, by, name)
    assert len([*what_is_missing(filled, {TOKEN: "a key"})]) == 1
    assert len([*what_is_missing(filled, {})]) == 2  # and the token


def test_with_all_values_it_is_released_by_the_tag_of_its_version(filled: Path) -> None:
    assert not [*what_is_missing(filled, {TOKEN: "a key"})]
    tagged = {TOKEN: "a key", "GITHUB_REF_TYPE": "tag"}
    assert not [*what_is_missing(filled, {**tagged, "GITHUB_REF_NAME": "v1.2.3"})]
    (sentence,) = what_is_missing(filled, {**tagged, "GITHUB_REF_NAME": "v9.9.9"})
    assert sentence.startswith("the tag is v9.9.9")


def test_the_registry_finds_the_drawings_of_this_version(filled: Path) -> None:
    address_drawings(filled)
    comfy = described(filled)["tool"]["comfy"]
    assert comfy["Icon"] == f"{REPOSITORY}/raw/v1.2.3/docs/icon.png"
    assert comfy["Banner"] == f"{REPOSITORY}/raw/v1.2.3/docs/banner.png"
