"""The README tells the truth about the settings."""

import re
from pathlib import Path

from shared.settings import Settings

README = Path(__file__).parents[2] / "README.md"


def test_every_setting_is_in_the_table_with_its_default() -> None:
    """As shared/settings.py has it, in the same order and no others."""
    table = README.read_text().split("<!-- settings:")[1].split("<!-- end of settings -->")[0]
    rows = re.findall(r"^\| `LETHE_(\w+)` \| (.*?) \| (.*?) \|$", table, re.MULTILINE)

    expected = []
    for name, field in Settings.model_fields.items():
        default = "required" if field.is_required() else "" if field.default is None else f"`{field.default}`"
        expected.append((name.upper(), default, field.description))
    assert rows == expected
