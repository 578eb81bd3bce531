"""The URL of a Redis, one server or several behind Sentinel, as redis-py and as Celery need it."""

import re
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.credentials import UsernamePasswordCredentialProvider
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from shared.servers import REDIS_SCHEMES

_SENTINEL = {"sentinel": "redis", "sentinels": "rediss"}  # and what its servers speak
_SENTINEL_PORT = 26379
_FORM = "sentinel://user:password@host1:26379,host2:26379/0?service=NAME"
_SENTINEL_SECONDS = 1  # the next Sentinel is asked after that


class _Login(UsernamePasswordCredentialProvider):
    """A login at Sentinel. Workers answer `celery inspect stats` with their broker's options: not with this one."""

    def __json__(self) -> str:
        return "hidden"


def check(url: str) -> None:
    """Raise ValueError, without the URL in it, for one that cannot work."""
    try:
        _addresses(urlsplit(url))
    except ValueError:  # its text may be a part of a password
        raise ValueError("its host and port cannot be read; is a password in it percent-encoded?") from None
    try:
        with connect(url, timeout_seconds=1) as client:
            client.connection_pool.make_connection()  # connects nowhere; an option that does not exist raises
    except (TypeError, RedisError) as error:
        raise ValueError(f"a part of its query is wrong: {error}") from None


def connect(url: str, *, timeout_seconds: float) -> Redis:
    """A client that connects at its first command; behind Sentinel, to the server that is the primary then."""
    # By default redis-py waits 5 s for an answer, four times; a dead Redis must be noticed sooner.
    common: dict[str, Any] = {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": 1,
        "health_check_interval": 15,
        "driver_info": None,  # else each new connection says twice which library it is of
        "retry": Retry(NoBackoff(), 1),  # once: after a restart of Redis, pooled connections are dead
    }
    parts = urlsplit(url)
    if parts.scheme not in _SENTINEL:
        return Redis.from_url(url, **common)
    options = _options(url)
    service, asks = options.pop("service"), options.pop("sentinel_kwargs")
    sentinel = Sentinel(_addresses(parts), sentinel_kwargs=asks, **common, **options)  # type: ignore[no-untyped-call]
    client: Redis = sentinel.master_for(service)  # type: ignore[no-untyped-call]
    return client


def for_celery(url: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The broker's URL, its transport options and broker_use_ssl, empty without TLS; another broker's URL as it is."""
    parts = urlsplit(url)
    if parts.scheme not in REDIS_SCHEMES:
        return url, {}, {}
    options = _options(url)
    database, login = options.get("db", 0), parts.netloc.rpartition("@")[0]
    ssl = {"ssl_cert_reqs": "required", **_of_tls(options)} if options.get("ssl") else {}
    if parts.scheme == "unix":
        return f"redis+socket://{login and login + '@'}{parts.path}?virtual_host={database}", {}, {}
    if parts.scheme not in _SENTINEL:
        return f"{parts.scheme}://{parts.netloc}/{database}", {}, ssl
    # kombu tries one after the other, each with all that is needed.
    each = [f"sentinel://{login and login + '@'}{_spell(*node)}/{database}" for node in _addresses(parts)]
    return ";".join(each), {"master_name": options["service"], "sentinel_kwargs": options["sentinel_kwargs"]}, ssl


def explain_sentinel(client: Redis) -> str | None:
    """Which server Sentinel names as the primary; None without Sentinel. Raises ConnectionError with what is wrong."""
    pool = client.connection_pool
    if not isinstance(pool, SentinelConnectionPool):
        return None
    service, said = pool.service_name, []
    for sentinel in pool.sentinel_manager.sentinels:
        where = _spell(*(sentinel.connection_pool.connection_kwargs[name] for name in ("host", "port")))
        try:
            known = sentinel.sentinel_masters()
        except RedisError as error:
            said.append(f"{where} does not answer ({type(error).__name__})")
            continue
        if service in known:
            state = known[service]
            if pool.sentinel_manager.check_master_state(state, service):
                return f'Sentinel names {_spell(state["ip"], state["port"])} as the primary of "{service}"'
            said.append(f'{where} takes the primary of "{service}" for down')
        else:
            names = ", ".join(f'"{name}"' for name in known) or "none"
            said.append(f'{where} knows no service "{service}", but {names}')
    raise RedisConnectionError(f"no Sentinel names a primary: {'; '.join(said)}")


def _options(url: str) -> dict[str, Any]:
    """What redis-py takes, without hosts; for Sentinel with its service and sentinel_kwargs."""
    parts = urlsplit(url)
    behind_sentinel = parts.scheme in _SENTINEL
    if behind_sentinel:
        login, at, _ = parts.netloc.rpartition("@")
        url = parts._replace(scheme=_SENTINEL[parts.scheme], netloc=f"{login}{at}servers").geturl()
    options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    for name in ("host", "port", "path", "connection_class"):
        options.pop(name, None)
    if url.startswith("rediss:"):
        options["ssl"] = True
    if not behind_sentinel:
        return options
    hosts_are_named = all(host for host, _ in _addresses(parts))
    if not (hosts_are_named and re.fullmatch(r"/?\d*", parts.path) and options.get("service")):
        raise ValueError(f"a URL for Sentinel has this form: {_FORM}")
    user, password = options.pop("sentinel_username", None), options.pop("sentinel_password", None)
    options["sentinel_kwargs"] = {
        "socket_timeout": _SENTINEL_SECONDS,
        "socket_connect_timeout": _SENTINEL_SECONDS,
        "retry": None,
        **({"ssl": True, **_of_tls(options)} if options.get("ssl") else {}),
        **({"credential_provider": _Login(user, password)} if password else {}),
    }
    return options


def _of_tls(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name.startswith("ssl_")}


def _addresses(parts: SplitResult) -> list[tuple[str, int]]:
    """All hosts of a URL, separated by commas (or by semicolons, as kombu has it), with their ports."""
    nodes = [urlsplit(f"//{node}") for node in re.split("[,;]", parts.netloc.rpartition("@")[2])]
    return [(unquote(node.hostname or ""), node.port or _SENTINEL_PORT) for node in nodes]


def _spell(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{quote(host)}:{port}"
