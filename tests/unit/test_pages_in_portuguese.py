"""The pages of docs/pt-BR say what the English ones say: what no language changes is the same in both."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/pt-BR"
BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
OWN = {"glossary.md"}  # pages without an English one
IN_ONE_LANGUAGE = {"LANG=pt_BR.UTF-8", "lethe --lang pt-BR", "lethe"}  # said in Portuguese only
PAGES = sorted(path.relative_to(FOLDER) for path in FOLDER.rglob("*.md") if path.name not in OWN)


def english_of(page: Path) -> Path:
    """The page that this one translates."""
    return ROOT / "README.md" if page == Path("README.md") else ROOT / "docs" / page


def headings(text: str) -> list[str]:
    """The level of each heading, in order."""
    return re.findall(r"^#+(?= )", BLOCK.sub("", text), re.MULTILINE)


def code(text: str) -> list[str]:
    """The lines of all blocks of code without their comments."""
    lines = (line for block in BLOCK.findall(text) for line in block.splitlines())
    return [line for line in lines if not line.startswith(("-- ", "# "))]


def spans(text: str) -> set[str]:
    """Commands, settings, calls and names, however a line is wrapped."""
    return {" ".join(span.split()) for span in SPAN.findall(BLOCK.sub("", text))}


def rows(text: str) -> list[int]:
    """The columns of each row of each table."""
    return [line.count("|") for line in BLOCK.sub("", text).splitlines() if line.startswith("|")]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_says_what_the_english_one_says(page: Path) -> None:
    """Change both: headings, code, tables, commands and settings are the same."""
    english, portuguese = english_of(page).read_text(), (FOLDER / page).read_text()

    assert headings(portuguese) == headings(english)
    assert code(portuguese) == code(english)
    assert rows(portuguese) == rows(english)
    assert spans(portuguese) - IN_ONE_LANGUAGE == spans(english) - IN_ONE_LANGUAGE


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_each_page_leads_to_the_other_language(page: Path) -> None:
    """In its first lines."""
    english = english_of(page)
    there = re.search(r"\[Português\]\((.+?)\)", english.read_text()[:300])
    back = re.search(r"\[English\]\((.+?)\)", (FOLDER / page).read_text()[:300])

    assert there
    assert back
    assert (english.parent / there[1]).resolve() == FOLDER / page
    assert ((FOLDER / page).parent / back[1]).resolve() == english
