"""Completes the settings: what Evolution's variables do not say is asked for, and secrets are made."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

import click

from cli.setup import mapping, role
from cli.setup.problems import Problem
from cli.setup.role import ROLE, Place
from cli.setup.source import Source
from shared.translations.texts import _

HOST = "host.docker.internal"  # the host of a container, in docker-compose.yml
# What is made once: the database has the password from the first start on, and nothing encrypted is readable without
# the secret key.
KEPT = ("LETHE_ADMIN_KEY", "LETHE_SECRET_KEY", "LETHE_DATABASE_PASSWORD", "FLOWER_BASIC_AUTH")
_OTHER_PORT = 8090
_SERVERS = (
    "tenant_database_url", "cache_url", "s3_endpoint", "rabbitmq_url", "kafka_url", "webhook_global_url", "gateways",
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    gateways: tuple[str, ...]
    folder: str | None
    in_containers: bool
    may_ask: bool


@dataclass
class Answers:
    """The settings by their names, variables of compose, and the SQL for the role, with the role that Evolution has."""

    settings: dict[str, str]
    compose: dict[str, str] = field(default_factory=dict)
    behind: list[str] = field(default_factory=list)  # Evolution's servers as a proxy on this host reaches them
    address: str = ""  # of Lethe on this host
    sql: str = ""
    owner: str = ""


def complete(source: Source, mapped: mapping.Mapped, options: Options, kept: Mapping[str, str]) -> Answers:
    """Settings and secrets of the deployment; kept has those of an .env that is replaced. Raises Problem."""
    made = Answers(dict(mapped.settings))
    _evolution(made, source, options)
    _addresses(made, source, options, kept)
    if options.in_containers:
        _leave_the_container(made, options)
        made.compose["LETHE_DATABASE_PASSWORD"] = kept.get("LETHE_DATABASE_PASSWORD") or secrets.token_hex(24)
        made.compose["FLOWER_BASIC_AUTH"] = kept.get("FLOWER_BASIC_AUTH") or f"operator:{secrets.token_urlsafe(12)}"
        if options.folder:
            made.compose["EVOLUTION_FOLDER"] = options.folder
    _role(made, kept, with_own_database=not options.in_containers)
    if not options.in_containers:
        _own_servers(made, options, kept)
    made.settings["admin_key"] = kept.get("LETHE_ADMIN_KEY") or secrets.token_urlsafe(32)
    made.settings["secret_key"] = kept.get("LETHE_SECRET_KEY") or secrets.token_hex(32)
    return made


def _evolution(made: Answers, source: Source, options: Options) -> None:
    """What Evolution's variables should say."""
    for name, variable in {
        "tenant_database_url": "DATABASE_CONNECTION_URI",
        "gateway_key": "AUTHENTICATION_API_KEY",
        "cache_url": "CACHE_REDIS_URI",
        "s3_bucket": "S3_BUCKET",
        "rabbitmq_url": "RABBITMQ_URI",
    }.items():
        needed = name in ("tenant_database_url", "gateway_key") or name in made.settings
        if needed and not made.settings.get(name):
            made.settings[name] = _ask(options, _("Evolution's {variable}", variable=variable), variable, hide=True)
    mapping.check_key(made.settings["gateway_key"])
    made.settings["gateway_key_may_delete"] = "true"
    found = mapping.check_database(made.settings["tenant_database_url"])
    made.settings["tenant_database_url"] = found.url
    if found.schema and found.schema != "public":
        made.settings["tenant_schema"] = found.schema
    made.settings["gateways"] = ",".join(options.gateways) or _gateway(source, options)


def _addresses(made: Answers, source: Source, options: Options, kept: Mapping[str, str]) -> None:
    """Addresses on this host: Evolution mostly has port 8080 there, Lethe's own by default."""
    made.behind = [urlsplit(url).netloc for url in made.settings["gateways"].split(",")]
    if source.service and options.in_containers and not options.gateways:
        port = source.variables.get("SERVER_PORT") or str(mapping.DEFAULT_PORT)
        if published := source.service.published.get(port):
            made.behind = [f"127.0.0.1:{published}"]
    name = "LETHE_PORT" if options.in_containers else "LETHE_BIND"
    is_taken = any(each.endswith(f":{mapping.DEFAULT_PORT}") for each in made.behind)
    made.address = kept.get(name) or f"127.0.0.1:{_OTHER_PORT if is_taken else mapping.DEFAULT_PORT}"
    if made.address != f"127.0.0.1:{mapping.DEFAULT_PORT}":
        made.compose[name] = made.address


def _gateway(source: Source, options: Options) -> str:
    kind = "https" if source.variables.get("SERVER_TYPE") == "https" else "http"
    port = source.variables.get("SERVER_PORT") or str(mapping.DEFAULT_PORT)
    if source.service and options.in_containers:
        return f"{kind}://{source.service.host}:{port}"
    default = f"{kind}://{HOST if options.in_containers else '127.0.0.1'}:{port}"
    return _ask(
        options,
        _("Evolution's own address for Lethe, not the public one; of several, with commas"),
        "--gateway",
        default,
    )


def _leave_the_container(made: Answers, options: Options) -> None:
    """Replace localhost, which is the container itself, by the host."""
    local = [name for name in _SERVERS if mapping.is_local(made.settings.get(name, "").split(",")[0])]
    if not local:
        return
    host = HOST
    if options.may_ask:
        click.echo(_("Evolution's settings name localhost. For Lethe's containers, that is not Evolution's."), err=True)
        host = click.prompt(_("Host of these servers, as a container reaches them"), default=HOST, err=True)
    for name in local:
        made.settings[name] = ",".join(_with_host(url, host) for url in made.settings[name].split(","))


def _with_host(url: str, host: str) -> str:
    if not mapping.is_local(url):
        return url
    parts = urlsplit(url if "://" in url else f"//{url}")  # a further broker of Kafka has no scheme
    login, at, _ = parts.netloc.rpartition("@")
    made = parts._replace(netloc=f"{login}{at}{host}{f':{parts.port}' if parts.port else ''}").geturl()
    return made if "://" in url else made.removeprefix("//")


def _role(made: Answers, kept: Mapping[str, str], *, with_own_database: bool) -> None:
    """Let Lethe have a role of its own in Evolution's database."""
    url = made.settings["tenant_database_url"]
    parts = urlsplit(url)
    login, _, server = parts.netloc.rpartition("@")
    made.owner = unquote(login.partition(":")[0]) or "postgres"
    before = urlsplit(kept.get("LETHE_TENANT_DATABASE_URL", ""))
    made_before = before.username == ROLE and before.password
    password = unquote(before.password or "") if made_before else secrets.token_hex(24)
    made.settings["tenant_database_url"] = parts._replace(netloc=f"{ROLE}:{quote(password)}@{server}").geturl()
    place = Place(made.settings.get("tenant_schema", "public"), made.owner, with_own_database)
    made.sql = role.sql(place, role.verifier(password))


def _own_servers(made: Answers, options: Options, kept: Mapping[str, str]) -> None:
    tenant = urlsplit(made.settings["tenant_database_url"])
    query = f"?{tenant.query}" if tenant.query else ""
    made.settings["database_url"] = kept.get("LETHE_DATABASE_URL") or f"{tenant.scheme}://{tenant.netloc}/{ROLE}{query}"
    made.settings["redis_url"] = kept.get("LETHE_REDIS_URL") or _ask(
        options, _("Lethe's own Redis, which evicts no keys"), "LETHE_REDIS_URL", "redis://127.0.0.1:6379/0"
    )
    folder = options.folder or kept.get("LETHE_FILES_ROOT") or ""
    if not folder and options.may_ask:
        folder = click.prompt(
            _("Evolution's working directory on this host (empty: it has none)"), default="", err=True
        )
    if folder:
        made.settings["files_root"] = folder


def _ask(options: Options, question: str, name: str, default: str | None = None, *, hide: bool = False) -> str:
    if not options.may_ask:
        if default is None:
            raise Problem(f"{name} is not there, and a script cannot be asked for it")
        return default
    answer: str = click.prompt(question, default=default, hide_input=hide, err=True)
    return answer.strip()
