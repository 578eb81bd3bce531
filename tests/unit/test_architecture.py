"""What neither import-linter nor ruff can say about the product's code."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from docs.syntax import parse

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "worker", "cli", "tasks", "shared")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
TREES = {path.relative_to(ROOT).as_posix(): parse(path.read_text()) for path in FILES}
STATE_MACHINE = {f"shared/deletions/{name}.py" for name in ("claim_statements", "claims", "lifecycle")}
MIGRATIONS = "shared/database/migrations/"
LARGEST_MODULE_LINES = 300
MOST_MODULES = 12
HTTP_STATUSES = {200, 201, 202, 204, 301, 302, *range(400, 512)}


def writes_a_status(tree: ast.Module) -> Iterator[int]:
    """Lines that assign a status, or write DeletionStatus into a row, a statement or a dict of values."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Attribute) and target.attr == "status" for target in targets):
                yield node.lineno
        if isinstance(node, ast.keyword) and node.arg == "status" and mentions_status(node.value):
            yield node.value.lineno
        if isinstance(node, ast.Dict):
            keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
            if "status" in keys and any(mentions_status(value) for value in node.values):
                yield node.lineno
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "update deletions" in node.value.lower():
            yield node.lineno


def mentions_status(node: ast.expr) -> bool:
    """Whether an expression uses the enum of a deletion's status."""
    return any(isinstance(part, ast.Name) and part.id == "DeletionStatus" for part in ast.walk(node))


def names_of_http(tree: ast.Module) -> set[int | str]:
    """HTTP statuses that the code mentions, as numbers or by the attributes that carry them."""
    nodes = list(ast.walk(tree))
    numbers = {node.value for node in nodes if isinstance(node, ast.Constant) and type(node.value) is int}
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return (numbers & HTTP_STATUSES) | (attributes & {"status_code", "HTTPStatus"})


def session_calls_without_timeout(tree: ast.Module) -> Iterator[int]:
    """Lines that send a request through a session and do not bound it."""
    for call in ast.walk(tree):
        sends = isinstance(call, ast.Call) and ast.unparse(call.func).endswith(("session.request", "session.post"))
        if sends and "timeout" not in {keyword.arg for keyword in call.keywords}:
            yield call.lineno


def test_only_the_state_machine_writes_a_deletions_status() -> None:
    """And each of its modules does, else the rule looks for the wrong thing."""
    assert {name for name, tree in TREES.items() if any(writes_a_status(tree))} == STATE_MACHINE


def test_steps_and_workers_know_no_http_status() -> None:
    """shared.evolution.gateway says what an answer means, api says what a caller is told."""
    found = {name: names_of_http(tree) for name, tree in TREES.items() if name.startswith(("tasks/", "worker/"))}

    assert {name: statuses for name, statuses in found.items() if statuses} == {}


def test_each_request_of_a_session_has_a_timeout() -> None:
    """ruff sees only those that are sent without a session."""
    assert {name: lines for name, tree in TREES.items() if (lines := [*session_calls_without_timeout(tree)])} == {}
    assert any("session.request" in path.read_text() for path in FILES)


def test_a_module_says_what_it_is_for_in_one_line() -> None:
    """In its docstring."""
    docstrings = {name: ast.get_docstring(tree) or "" for name, tree in TREES.items()}

    assert [
        name for name in TREES if not name.endswith("__init__.py") and len(docstrings[name].splitlines()) != 1
    ] == []


def test_a_room_says_who_may_import_it() -> None:
    """In the docstring of its package."""
    rooms = {name: ast.get_docstring(tree) or "" for name, tree in TREES.items() if name.endswith("/__init__.py")}

    assert [name for name, said in rooms.items() if "import" not in said] == []


def test_no_module_is_long() -> None:
    """A stranger reads it in one go."""
    lines = {name: len((ROOT / name).read_text().splitlines()) for name in TREES}

    assert {name: count for name, count in lines.items() if count > LARGEST_MODULE_LINES} == {}


def test_no_folder_is_crowded() -> None:
    """A stranger finds the file by its name; migrations have no end."""
    modules = Counter(Path(name).parent for name in TREES if not name.endswith("__init__.py"))

    assert {str(folder) for folder, count in modules.items() if count > MOST_MODULES} <= {f"{MIGRATIONS}versions"}
