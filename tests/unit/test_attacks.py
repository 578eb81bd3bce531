"""The page of attacks names tests that exist."""

import ast
import re
from pathlib import Path

from docs.syntax import parse

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "attacks.md").read_text()


def test_each_test_that_the_page_names_exists() -> None:
    """In the module above it."""
    missing, module = [], set[str]()
    for named, test in re.findall(r"^`(tests/[^`]+)`:|^- `(test_[^`]+)`", PAGE, re.MULTILINE):
        if named:
            tree = parse((ROOT / named).read_text())
            module = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        elif test not in module:
            missing.append(test)

    assert missing == []
    assert len(re.findall(r"^- `test_", PAGE, re.MULTILINE)) > 50
