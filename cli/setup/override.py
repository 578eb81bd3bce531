"""docker-compose.override.yml: brings Lethe's containers into Evolution's network and mounts its folders."""

import json

from cli.setup.compose_file import Service

NAME = "docker-compose.override.yml"


def render(service: Service) -> str:
    """The text of the file. JSON strings are YAML too."""
    volumes = {target: where for target, where in service.volumes.items() if not where.startswith("/")}
    names = {where: f"evolution_{number}" for number, where in enumerate(volumes.values(), 1)}
    mounts = [f"{names.get(where, where)}:{target}" for target, where in service.volumes.items()]
    lines = ["# Written by `lethe init`: docker compose reads it by itself.", "services:"]
    for name in ("web", "worker"):
        lines += [f"  {name}:", "    networks: [default, evolution]"]
        lines += ['    user: "0:0" # whom Evolution\'s folder belongs to: its image runs as root']
        lines += [f"    volumes: {json.dumps(mounts)}"] if mounts else []
    lines += ["", "networks:", "  evolution:", "    external: true", f"    name: {json.dumps(service.network)}"]
    if names:
        lines += ["", "volumes:"]
    for where, name in names.items():
        lines += [f"  {name}:", "    external: true", f"    name: {json.dumps(where)}"]
    return "\n".join([*lines, ""])
