"""A wheel of the product holds every file of it: what setuptools finds by the patterns in pyproject.toml."""

import tomllib
from pathlib import Path

from shared.version import VERSION

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "cli", "shared", "tasks", "worker")
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
FILES = [
    path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*")
    if path.is_file() and path.parent.name != "__pycache__"
]


def is_package(folder: Path) -> bool:
    """Whether setuptools finds it: the folder and all folders above it have an __init__.py."""
    return all((ROOT / part / "__init__.py").exists() for part in (folder, *folder.parents) if part.parts)


def is_data_of_a_package(path: Path) -> bool:
    """Whether a pattern of package-data matches the file, which is given from the repository's root."""
    return any(
        path.match(f"{package.replace('.', '/')}/{pattern}")  # "*" ends at a slash, as for setuptools
        for package, patterns in SETUPTOOLS["package-data"].items()
        for pattern in patterns
    )


def test_the_version_is_that_of_the_project() -> None:
    """The changelog begins with it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    heading = next(line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## "))

    assert project["version"] == VERSION
    assert heading.startswith(f"## {VERSION}")


def test_setuptools_looks_for_packages_in_each_of_the_products_folders() -> None:
    """Each package and those below it, and nothing else."""
    patterns = SETUPTOOLS["packages"]["find"]["include"]

    assert sorted(patterns) == sorted(pattern for name in PACKAGES for pattern in (name, f"{name}.*"))


def test_every_module_is_in_a_package() -> None:
    """A folder without __init__.py is not in the wheel, and so its modules are not."""
    modules = [path.relative_to(ROOT) for path in FILES if path.suffix == ".py"]

    assert [str(path) for path in modules if not is_package(path.parent)] == []


def test_every_other_file_is_named_in_package_data() -> None:
    """Templates, static files and the template of migrations."""
    others = [path.relative_to(ROOT) for path in FILES if path.suffix != ".py"]

    assert len(others) > 10
    assert [str(path) for path in others if not is_data_of_a_package(path)] == []
