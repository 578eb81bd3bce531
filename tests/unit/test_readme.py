"""The README is short, its links lead somewhere, and the docs tell the truth about the settings."""

import re
from pathlib import Path

import pytest

from docs import errors_table, settings_table
from shared.settings import Settings

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def links(page: Path) -> list[str]:
    """The targets of all links within the repository, as they are written."""
    return re.findall(r"\]\((?!https?:)([^)\s]+)\)", CODE.sub("", page.read_text()))


def anchors(page: Path) -> set[str]:
    """What the headings of the page are called in links, as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(page: Path, link: str) -> bool:
    """Whether the file is there, and the heading in it."""
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.is_file() and (not anchor or anchor in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file of this repository, and to a heading where it names one."""
    assert [link for link in links(page) if not leads_somewhere(page, link)] == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    """A missing file and a missing heading, but nothing in code."""
    page = tmp_path / "page.md"
    page.write_text("# A heading: `one`\n[a](#a-heading-one) [b](none.md) [c](page.md#two) `[d](none.md)`\n")

    assert [link for link in links(page) if not leads_somewhere(page, link)] == ["none.md", "page.md#two"]


def test_the_index_names_every_page_of_the_docs() -> None:
    """A page that the index does not name is not found."""
    index = ROOT / "docs/README.md"
    named = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}

    assert [page for page in PAGES if page.parent != ROOT and page != index and page not in named] == []


def test_the_readme_is_two_screens() -> None:
    """At most 150 lines; the rest belongs into docs/."""
    assert len(README.read_text().splitlines()) <= 150


def test_the_readme_and_the_api_page_show_the_same_bodies() -> None:
    """Each body of the short table stands in the full one."""
    short = README.read_text().split("## The API by status code")[1].split("\n## ")[0]
    bodies = re.findall(r"`(\{\"[^`]+\})`", short)

    full = (ROOT / "docs/api.md").read_text()
    assert len(bodies) > 5
    assert [body for body in bodies if f"`{body}`" not in full] == []


def test_the_settings_page_is_what_make_settings_writes() -> None:
    """Run `make settings` after a change in shared/settings/fields.py."""
    page = settings_table.PAGE.read_text()

    assert settings_table.render().strip() == page.split(settings_table.BEGIN)[1].split(settings_table.END)[0].strip()


@pytest.mark.parametrize("reader", errors_table.PAGES)
def test_the_page_of_errors_is_what_make_settings_writes(reader: str) -> None:
    """Run `make settings` after a change in shared/faults/table.py."""
    page = errors_table.PAGES[reader].read_text()

    assert errors_table.render(reader).strip() == page.split(errors_table.BEGIN)[1].split(errors_table.END)[0].strip()


def test_every_setting_is_in_one_group() -> None:
    """Each once, and no others."""
    rows = re.findall(r"^\| `LETHE_(\w+)` \|", settings_table.render(), re.MULTILINE)

    assert sorted(rows) == sorted(name.upper() for name in Settings.model_fields)
