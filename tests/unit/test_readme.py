"""What the README shows runs, and what it links to is there and is published with it."""

import re
import runpy
import subprocess
from pathlib import Path
from typing import Any

import pytest
import soundfile

from stylus_ops.tiny import RECORDINGS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def links(text: str) -> list[str]:
    """Files of this repository that a page links to."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    return [target for target in targets if not target.startswith("http")]


def test_the_library_example_runs(one_engine: None, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    Path("example.py").write_text(example.replace("steps=10", "steps=2"), encoding="utf-8")
    runpy.run_path("example.py")
    assert "sampling" in capsys.readouterr().out
    content, restyled = (soundfile.info(path) for path in (RECORDINGS / "melody.flac", tmp_path / "restyled.flac"))
    assert (restyled.frames, restyled.samplerate) == (content.frames, content.samplerate)


@pytest.mark.parametrize("page", sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("*.md")))
def test_links_lead_somewhere(page: str) -> None:
    missing = [target for target in links((ROOT / page).read_text(encoding="utf-8")) if not (ROOT / target).exists()]
    assert not missing


def test_the_published_pack_holds_what_the_readme_links_to_and_no_tests() -> None:
    """ComfyUI's registry takes the tracked files that .comfyignore, in gitignore's language, does not name."""
    listed = ["git", "ls-files", "--cached"]
    try:
        tracked = set(subprocess.check_output(listed, cwd=ROOT, text=True).splitlines())
        named = [*listed, "--ignored", "--exclude-from=.comfyignore"]
        published = tracked - set(subprocess.check_output(named, cwd=ROOT, text=True).splitlines())
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("the tests don't run in a git clone")
    folders = {name.split("/")[0] for name in published if "/" in name}
    assert {"docs", "nodes", "stylus_ops", "web", "workflows"} <= folders
    assert not folders & {".ci", ".github", "benchmarks", "scripts", "tests", "training"}
    assert {"__init__.py", "pyproject.toml", "requirements.txt", "LICENSE", *links(README)} <= published
