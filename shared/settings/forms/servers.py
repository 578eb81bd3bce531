"""URLs of Redis and RabbitMQ as Node's clients take them, and S3 endpoints as Evolution has them."""

import re
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

# What Node's clients take from a URL and Python's do not. Of the other names, Python's clients refuse the unknown.
_OF_NODES_REDIS = {"family", "keepAlive", "noDelay", "connectTimeout", "commandTimeout", "enableReadyCheck"}
_OF_NODES_AMQP = {"frameMax", "channelMax", "heartbeat", "locale", "connectionTimeout", "noDelay", "keepAlive"}
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:/\s@]+)(?::(?P<port>\d{1,5}))?/*")
_OF_AWS = re.compile(r"s3(?:[.-](?:dualstack\.)?(?P<region>[a-z]{2}(?:-[a-z]+)+-\d))?\.amazonaws\.com")
_HTTP, _HTTPS = "http", "https"
_PORTS = {_HTTP: 80, _HTTPS: 443}
_EVOLUTIONS_PORT = 9000  # where S3_PORT is not set


def redis(url: str) -> tuple[str, tuple[str, ...]]:
    """The URL for redis-py, and the parameters that are left out. ValueError says what cannot work."""
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss"):
        return url, ()  # a socket, or refused elsewhere
    if parts.path.strip("/") and not parts.path.strip("/").isdigit():
        raise ValueError("the path is a database's number, as in redis://host:6379/6")
    return _without(url, _OF_NODES_REDIS)


def amqp(url: str) -> tuple[str, tuple[str, ...]]:
    """The URL for kombu, and the parameters of Node's client that are left out."""
    return _without(url, _OF_NODES_AMQP) if urlsplit(url).scheme in ("amqp", "amqps") else (url, ())


def _without(url: str, names: set[str]) -> tuple[str, tuple[str, ...]]:
    base, _, query = url.partition("?")
    given = parse_qsl(query, keep_blank_values=True)
    left_out = tuple(name for name, _ in given if name in names)
    kept = urlencode([each for each in given if each[0] not in names], quote_via=quote, safe="/")
    return (f"{base}?{kept}" if kept else base) if left_out else url, left_out


def s3_endpoint(value: str, port: int | None, use_ssl: bool | None) -> str:
    """The endpoint's URL, of what S3_ENDPOINT, S3_PORT and S3_USE_SSL have, with Evolution's defaults.

    ValueError says what cannot work.
    """
    scheme, mark, rest = value.partition("://")
    if mark and scheme not in _PORTS:
        raise ValueError("write the host alone, as minio.example.com, or a URL that begins with http:// or https://")
    if mark and use_ssl is not None and use_ssl is not (scheme == _HTTPS):
        raise ValueError(f"it begins with {scheme}://, and LETHE_S3_USE_SSL says otherwise: leave one of them out")
    if mark and (port is None or "/" in rest.rstrip("/")):
        return value
    found = _HOST.fullmatch(rest if mark else value)
    if found is None:
        raise ValueError("write the host alone, without a path: LETHE_S3_BUCKET has the bucket's name")
    own_port = int(found["port"]) if found["port"] else None
    if own_port and port and own_port != port:
        raise ValueError(f"it has port {own_port}, and LETHE_S3_PORT another: leave one of them out")
    is_aws = _OF_AWS.fullmatch(found["host"]) is not None
    chosen = own_port or port or (_PORTS[_HTTPS] if is_aws else _EVOLUTIONS_PORT)
    secure = use_ssl if use_ssl is not None else scheme == _HTTPS if mark else chosen == _PORTS[_HTTPS]
    kind = _HTTPS if secure else _HTTP
    return f"{kind}://{found['host']}{'' if chosen == _PORTS[kind] else f':{chosen}'}"


def region_of(endpoint: str) -> str | None:
    """The region of an endpoint of AWS."""
    found = _OF_AWS.fullmatch(urlsplit(endpoint).hostname or "")
    return found["region"] if found else None
