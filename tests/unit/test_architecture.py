"""The rules of the layers, read from the code: {api | worker | cli} -> tasks -> shared."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "worker", "cli", "tasks", "shared")
MAY_IMPORT = {
    "api": {"tasks", "shared"},
    "worker": {"tasks", "shared"},
    "cli": {"tasks", "shared"},
    "tasks": {"shared"},
    "shared": set[str](),
}
# What api may enter tasks through: the pipeline, orders and who gives them, and the target of a preview.
DOORS = {"tasks.pipeline", "tasks.orders.delete", "tasks.orders.caller.Caller", "tasks.context.Target"}
LARGEST_MODULE_LINES = 300


@dataclass(frozen=True)
class Module:
    """A file of the product."""

    path: Path

    @property
    def name(self) -> str:
        """As it is found from the root."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def package(self) -> str:
        """One of the five."""
        return self.name.split("/")[0]

    @property
    def tree(self) -> ast.Module:
        """Its code."""
        return parse(self.path)

    def imports(self) -> Iterator[str]:
        """The full name of everything it imports, also inside of functions and for type checking."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name}:{node.lineno} imports relatively"
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def parse(path: Path) -> ast.Module:
    """Read each file once."""
    return ast.parse(path.read_text())


MODULES = [Module(path) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
every_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)


def top(name: str) -> str:
    """The package of an imported name."""
    return name.split(".")[0]


def test_the_code_is_where_it_is_looked_for() -> None:
    """A rule about no files would always hold."""
    assert {module.package for module in MODULES} == set(PACKAGES)
    assert len(MODULES) > 30


@every_module
def test_imports_point_down(module: Module) -> None:
    """api, worker and cli never meet, tasks know none of them, shared knows nobody."""
    up = {top(name) for name in module.imports()} & set(PACKAGES) - MAY_IMPORT[module.package] - {module.package}

    assert up == set()


@every_module
def test_the_product_knows_neither_its_demo_nor_its_tests(module: Module) -> None:
    """It is shipped without them."""
    assert {top(name) for name in module.imports()} & {"demo", "tests", "bench", "pytest", "hypothesis"} == set()


@pytest.mark.parametrize(
    "module", [module for module in MODULES if module.package == "api"], ids=lambda module: module.name
)
def test_api_enters_tasks_through_the_pipeline(module: Module) -> None:
    """It never runs a step."""
    entered = {name for name in module.imports() if top(name) == "tasks"}

    assert {name for name in entered if not any(f"{name}.".startswith(f"{door}.") for door in DOORS)} == set()


@pytest.mark.parametrize(
    "module", [module for module in MODULES if module.package != "api"], ids=lambda module: module.name
)
def test_http_is_served_in_api_only(module: Module) -> None:
    """Flask is an edge."""
    assert {top(name) for name in module.imports()} & {"flask", "flask_openapi3", "werkzeug", "gunicorn"} == set()


@pytest.mark.parametrize(
    "module", [module for module in MODULES if module.package in ("worker", "tasks")], ids=lambda module: module.name
)
def test_http_statuses_are_unknown_to_steps_and_workers(module: Module) -> None:
    """What an answer means is said by shared.evolution.gateway, what a caller is told by api."""
    numbers = {
        node.value for node in ast.walk(module.tree) if isinstance(node, ast.Constant) and type(node.value) is int
    }
    names = {node.attr for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}

    assert numbers & {200, 201, 202, 204, 301, 302, *range(400, 512)} == set()
    assert names & {"status_code", "HTTPStatus"} == set()
    assert {top(name) for name in module.imports()} & {"http", "requests", "urllib3"} == set()


@pytest.mark.parametrize(
    "module", [module for module in MODULES if module.name != "shared/settings.py"], ids=lambda module: module.name
)
def test_the_environment_is_read_in_settings_only(module: Module) -> None:
    """What can be set is found in one place."""
    attributes = {node.attr for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}

    assert attributes & {"environ", "environb", "getenv"} <= ({"environ"} if module.package == "api" else set())
    assert {"os.environ", "os.getenv", "os.environb"} & {*module.imports(), *dotted_names(module)} == set()


def dotted_names(module: Module) -> Iterator[str]:
    """Every name.attribute of the code."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


def writes_of_a_deletions_status(module: Module) -> Iterator[int]:
    """Lines that assign a status, or write DeletionStatus into a row, a statement or a dict of values."""
    for node in ast.walk(module.tree):
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


STATE_MACHINE = ("shared/deletions/claim_statements.py", "shared/deletions/claims.py", "shared/deletions/lifecycle.py")


@pytest.mark.parametrize(
    "module", [module for module in MODULES if module.name not in STATE_MACHINE], ids=lambda module: module.name
)
def test_the_status_of_a_deletion_is_written_by_the_state_machine(module: Module) -> None:
    """By the owner of a claim, or from outside."""
    assert list(writes_of_a_deletions_status(module)) == []


@pytest.mark.parametrize("name", STATE_MACHINE)
def test_the_state_machine_writes_the_status(name: str) -> None:
    """Else the rule above looks for the wrong thing."""
    assert list(writes_of_a_deletions_status(Module(ROOT / name))) != []


@every_module
def test_no_module_is_long(module: Module) -> None:
    """A stranger reads it in one go."""
    assert len(module.path.read_text().splitlines()) <= LARGEST_MODULE_LINES


def public_names_without_docstring(module: Module) -> Iterator[str]:
    """Functions, classes and methods that others may call; a method of a library's class is described there."""
    own = {node.name for node in module.tree.body if isinstance(node, ast.ClassDef)}
    for node in public_ones(module.tree.body):
        if ast.get_docstring(node) is None:
            yield node.name
        if isinstance(node, ast.ClassDef) and {getattr(base, "id", "") for base in node.bases} <= {*own, "Protocol"}:
            yield from (f"{node.name}.{one.name}" for one in public_ones(node.body) if ast.get_docstring(one) is None)


def public_ones(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """The definitions whose name does not begin with an underscore."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node


@every_module
def test_what_is_public_says_what_it_does(module: Module) -> None:
    """In a docstring."""
    if module.path.parent.name != "versions":  # alembic's upgrade and downgrade
        assert list(public_names_without_docstring(module)) == []


@every_module
def test_a_module_says_what_it_is_for_in_one_sentence(module: Module) -> None:
    """In its first line."""
    docstring = ast.get_docstring(module.tree)

    assert docstring or not module.path.read_text()
    assert len((docstring or "").splitlines()) <= 1


@every_module
def test_no_error_is_swallowed(module: Module) -> None:
    """A bare except, or one that catches everything and does nothing."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            everything = node.type is None or (
                isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
            )

            assert not (everything and all(isinstance(line, ast.Pass | ast.Continue) for line in node.body)), (
                node.lineno
            )


@every_module
def test_every_request_has_a_timeout(module: Module) -> None:
    """A server that says nothing holds nobody for ever."""
    verbs = {f"requests.{verb}" for verb in ("get", "post", "put", "delete", "request")}
    calls = [node for node in ast.walk(module.tree) if isinstance(node, ast.Call)]

    for call in calls:
        if ast.unparse(call.func) in verbs or ast.unparse(call.func).endswith("_session.request"):
            assert "timeout" in {keyword.arg for keyword in call.keywords}, call.lineno
