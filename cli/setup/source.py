"""Where Evolution's variables come from: its .env, or a service of a compose file."""

from dataclasses import dataclass
from pathlib import Path

from cli.setup import compose_file, env_file
from cli.setup.compose_file import Service
from cli.setup.problems import Problem
from shared.settings.forms import text

_COMPOSE = ("docker-compose.yaml", "docker-compose.yml", "compose.yaml", "compose.yml")
_OF_EVOLUTION = {"DATABASE_CONNECTION_URI", "AUTHENTICATION_API_KEY"}


@dataclass(frozen=True)
class Source:
    """Evolution's variables, and its service where it runs by compose."""

    path: Path
    variables: dict[str, str]
    service: Service | None = None


def read(path: Path, service: str | None) -> Source:
    """Evolution's variables of the file. Raises Problem; MoreThanOne when a compose file has several such services."""
    if path.suffix in (".yml", ".yaml"):
        found = _choose(path, service)
        return Source(path, found.environment, found)
    variables = env_file.read(path)
    if not variables.keys() & _OF_EVOLUTION:
        raise Problem(f"{path} has neither {' nor '.join(sorted(_OF_EVOLUTION))}: is it Evolution's?")
    return Source(path, variables, _beside(path, variables, service))


class MoreThanOne(Problem):
    """A compose file with several servers of Evolution."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(f"the compose file has several servers of Evolution ({', '.join(names)}): say --service NAME")
        self.names = names


def _choose(path: Path, name: str | None) -> Service:
    try:
        content = text.read(path)
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}") from None
    beside = path.with_name(".env")
    listed = compose_file.services(content, path, env_file.read(beside) if beside.is_file() else {})
    found = [each for each in listed if (each.name == name if name else each.environment.keys() & _OF_EVOLUTION)]
    if not found:
        if name:
            raise Problem(f"{path} has no service {name}")
        raise Problem(f"{path} has no service with AUTHENTICATION_API_KEY or DATABASE_CONNECTION_URI")
    if len(found) > 1:
        raise MoreThanOne([each.name for each in found])
    return found[0]


def _beside(path: Path, variables: dict[str, str], name: str | None) -> Service | None:
    """The service that runs with this .env, if a compose file beside it has one."""
    for each in (path.with_name(file) for file in _COMPOSE):
        if each.is_file():
            try:
                service = _choose(each, name)
            except Problem:
                continue
            key = "AUTHENTICATION_API_KEY"
            if service.environment.get(key) == variables.get(key):
                return service
    return None
