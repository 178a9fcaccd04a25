"""Refuse a release that is not ready; make addresses of the pack's drawings in one that is.

python scripts/release.py        # in the repository's root, with the token in REGISTRY_ACCESS_TOKEN

Run by .github/workflows/publish.yml before it publishes. docs/publishing.md says where the values come from.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
TOKEN = "REGISTRY_ACCESS_TOKEN"
PLACEHOLDER = "https://github.com/OWNER/REPOSITORY"
DRAWINGS = ("Icon", "Banner")
REPOSITORY = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+")


def what_is_missing(root: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Why the repository at `root` can't be released, a sentence each; nothing where it can."""
    told = described(root)
    project, comfy = told["project"], told["tool"]["comfy"]
    version, repository = project["version"], project.get("urls", {}).get("Repository", "")
    files = ("README.md", "CITATION.cff", "CHANGELOG.md")
    readme, citation, changelog = ((root / name).read_text(encoding="utf-8") for name in files)
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", publisher := comfy["PublisherId"]):
        yield f"PublisherId is {publisher!r}: put the name behind the @ of your registry profile into [tool.comfy]"
    if not REPOSITORY.fullmatch(repository):
        yield f"Repository is {repository!r}: put https://github.com/OWNER/NAME into pyproject.toml, [project.urls]"
    if PLACEHOLDER in readme:
        yield f"README.md says {PLACEHOLDER}: put the address there"
    if not re.search(rf"^repository-code: {re.escape(repository)}$", citation, re.MULTILINE):
        yield f"repository-code in CITATION.cff is not {repository!r}: make it the Repository of pyproject.toml"
    if not environment.get(TOKEN, "").strip():
        yield f"{TOKEN} is empty: make a key on the registry and store it as a secret of the repository"
    for name in DRAWINGS:
        if not (root / comfy[name]).is_file():
            yield f"{name} is {comfy[name]!r}, which is not in the repository: name a drawing that is"
    heading = f"## [{version}] - "
    if not re.search(rf"^{re.escape(heading)}\d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        yield f"version is {version}, of which CHANGELOG.md says nothing: give it the heading {heading}YYYY-MM-DD"
    elif re.search(r"^- ", changelog.partition(heading)[0], re.MULTILINE):
        yield f"CHANGELOG.md has lines above version {version}: raise the version, or move them to it"
    if not re.search(rf"^version: {re.escape(version)}$", citation, re.MULTILINE):
        yield f"CITATION.cff is not of version {version}, which pyproject.toml has: make it and date-released agree"
    if environment.get("GITHUB_REF_TYPE") == "tag" and (tag := environment["GITHUB_REF_NAME"]) != f"v{version}":
        yield f"the tag is {tag} and version in pyproject.toml {version}: tag the commit v{version}"


def address_drawings(root: Path) -> None:
    """Rewrite pyproject.toml: Icon and Banner become the addresses at which the registry finds these files."""
    told = described(root)
    repository, version = told["project"]["urls"]["Repository"], told["project"]["version"]
    path = root / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    for name in DRAWINGS:
        file = told["tool"]["comfy"][name]
        text = text.replace(f'{name} = "{file}"', f'{name} = "{repository}/raw/v{version}/{file}"')
    path.write_text(text, encoding="utf-8")


def described(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def main() -> int:
    missing = [*what_is_missing(ROOT, os.environ)]
    for sentence in missing:
        print(f"not released: {sentence}", file=sys.stderr)
    if not missing:
        address_drawings(ROOT)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
