"""Every help page has a picture of its own."""

from scripts.dial_tables import ROOT

DOCS = ROOT / "web" / "docs"


def test_no_two_pages_show_the_same() -> None:
    pictures = {path.stem: path.read_bytes() for path in (DOCS / "pictures").glob("*.webp")}
    assert set(pictures) == {page.stem for page in DOCS.glob("*.md")}
    assert len(set(pictures.values())) == len(pictures)
