"""Evolution's services in a compose file: their environment, and what Lethe's containers need to reach them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cli.setup import env_file
from cli.setup.problems import Problem
from shared.settings.forms.text import unquoted

_NEEDED = ("DATABASE_CONNECTION_URI", "AUTHENTICATION_API_KEY", "CACHE_REDIS_URI")
_REFERENCE = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<bare>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)(?::?(?P<kind>[-?+])(?P<word>[^}]*))?\})"
)


_NOT_OF_A_PROJECT = re.compile(r"[^a-z0-9_-]")
_FOLDERS = ("/evolution", "/evolution/instances", "/evolution/store")  # Evolution's working directory, in its image


@dataclass(frozen=True)
class Service:
    """A service, its host name, its environment, and the names that docker gives its network and volumes.

    beside: the services of the file by the host names that they have.
    """

    name: str
    host: str
    environment: dict[str, str]
    network: str
    volumes: dict[str, str]  # by the path in the container: a folder of the host, or a volume
    file: Path
    beside: dict[str, str]
    published: dict[str, int]  # ports of the host, by those of the container


def services(text: str, path: Path, variables: Mapping[str, str]) -> list[Service]:
    """All services of the file; variables are those of the .env beside it. Raises Problem."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        raise Problem(f"the compose file cannot be read{f', line {where.line + 1}' if where else ''}") from None
    listed = document.get("services") if isinstance(document, dict) else None
    if not isinstance(listed, dict):
        raise Problem("the compose file has no services")
    file = _File(document, path, variables)
    return [file.service(str(name), each) for name, each in listed.items() if isinstance(each, dict)]


@dataclass(frozen=True)
class _File:
    document: dict[str, Any]
    path: Path
    variables: Mapping[str, str]

    def service(self, name: str, given: dict[str, Any]) -> Service:
        environment: dict[str, str] = {}
        for path in _paths(given.get("env_file")):
            if (self.folder / path).is_file():  # of another machine: what it has is asked for
                environment |= env_file.read(self.folder / path)
        own = dict(_pairs(given.get("environment")))
        networks = list(given.get("networks") or ["default"])
        return Service(
            name,
            str(given.get("container_name") or given.get("hostname") or name),
            environment | {key: unquoted(self._resolve(key, value)) for key, value in own.items()},
            self._name_of("networks", str(networks[0])),
            dict(self._volumes(given.get("volumes"))),
            self.path,
            self._hosts(),
            dict(self._published(given.get("ports"))),
        )

    @property
    def folder(self) -> Path:
        return self.path.parent

    def _hosts(self) -> dict[str, str]:
        found = {}
        for name, given in self.document["services"].items():
            for host in (name, *(given.get(key) for key in ("container_name", "hostname") if isinstance(given, dict))):
                if host:
                    found[str(host)] = str(name)
        return found

    def _resolve(self, name: str, value: str) -> str:
        try:
            return interpolate(name, value, self.variables)
        except Problem:
            if name in _NEEDED:
                raise
            return ""  # of another program, or of no interest here

    def _volumes(self, given: object) -> Iterator[tuple[str, str]]:
        for each in given if isinstance(given, list) else []:
            if isinstance(each, dict):
                source, target = str(each.get("source", "")), str(each.get("target", ""))
            else:
                source, target = [*str(each).split(":"), ""][:2]
            if target.rstrip("/") in _FOLDERS and source:
                is_path = source.startswith((".", "/", "~"))
                where = str((self.folder / Path(source).expanduser()).resolve())
                yield target.rstrip("/"), where if is_path else self._name_of("volumes", source)

    def _published(self, given: object) -> Iterator[tuple[str, int]]:
        for each in given if isinstance(given, list) else []:
            if isinstance(each, dict):
                host, container = str(each.get("published", "")), str(each.get("target", ""))
            else:
                parts = self._resolve("ports", str(each)).partition("/")[0].split(":")
                host, container = (parts[-2], parts[-1]) if len(parts) > 1 else ("", "")
            if host.isdigit():
                yield container, int(host)

    def _name_of(self, kind: str, name: str) -> str:
        """The name outside of this file: with the project's name before it, unless the file says otherwise."""
        known = (self.document.get(kind) or {}).get(name) or {}
        if known.get("name"):
            return str(known["name"])
        project = str(self.document.get("name") or self.folder.resolve().name).lower()
        return name if known.get("external") else f"{_NOT_OF_A_PROJECT.sub('', project)}_{name}"


def _paths(given: object) -> Iterator[str]:
    for each in given if isinstance(given, list) else [given]:
        path = each.get("path") if isinstance(each, dict) else each
        if isinstance(path, str):
            yield path


def _pairs(given: object) -> Iterator[tuple[str, str]]:
    if isinstance(given, dict):
        for name, value in given.items():
            yield str(name), "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    elif isinstance(given, list):
        for each in given:
            name, _, value = str(each).partition("=")
            yield name.strip(), value


def interpolate(name: str, value: str, variables: Mapping[str, str]) -> str:
    """The value with what $VARIABLE, ${VARIABLE} and ${VARIABLE:-default} stand for; raises Problem."""

    def replace(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        variable = found["name"] or found["bare"]
        known = variables.get(variable)
        if found["kind"] == "-":
            return known or found["word"]
        if found["kind"] == "+":
            return found["word"] if known else ""
        if known is None:
            raise Problem(f"{name} refers to ${{{variable}}}, which is neither in this file nor in an .env beside it")
        return known

    return _REFERENCE.sub(replace, value)
