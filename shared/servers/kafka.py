"""The URL of a Kafka, with all that Evolution's KAFKA_ variables say, as librdkafka needs it."""

import re
from pathlib import Path
from urllib.parse import parse_qsl, unquote

SCHEMES = ("kafka", "kafka+ssl")
_FORM = "kafka://user:password@host1:9092,host2:9092, or kafka+ssl:// with TLS"
_PORT = 9092
_URL = re.compile(r"(?P<scheme>kafka(?:\+ssl)?)://(?:(?P<login>[^/?]*)@)?(?P<brokers>[^/?@]+)/?(?:\?(?P<query>.*))?")
_BROKER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\s\[\]]+)(?::(?P<port>\d{1,5}))?")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_PARAMETERS = ("mechanism", "cert", "key", "verify")


def configuration(url: str, ca_file: str | None) -> dict[str, str]:
    """What librdkafka is told. Raises ValueError, without a part of the URL in it, for a URL that cannot work."""
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError(f"write {_FORM}; is a password in it percent-encoded?")
    given = _parameters(found["query"] or "")
    made = {"bootstrap.servers": ",".join(_broker(each) for each in found["brokers"].split(","))}
    is_tls = found["scheme"].endswith("ssl")
    if found["login"]:
        made |= _login(found["login"], given)
    elif "mechanism" in given:
        raise ValueError("a mechanism needs a user and a password")
    made["security.protocol"] = f"{'SASL_' if found['login'] else ''}{'SSL' if is_tls else 'PLAINTEXT'}"
    if is_tls:
        return made | _tls(given, ca_file)
    if {"cert", "key", "verify"} & given.keys():
        raise ValueError("cert, key and verify are for kafka+ssl://")
    return made


def _parameters(query: str) -> dict[str, str]:
    given = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := sorted(given.keys() - set(_PARAMETERS)):
        raise ValueError(f"there is no parameter {', '.join(unknown)}: there are {', '.join(_PARAMETERS)}")
    return given


def _broker(text: str) -> str:
    found = _BROKER.fullmatch(text.strip())
    if found is None or int(found["port"] or 1) not in range(1, 65_536):
        raise ValueError(f"a broker is a host and a port: {_FORM}")
    return f"{found['host']}:{found['port'] or _PORT}"


def _login(login: str, given: dict[str, str]) -> dict[str, str]:
    user, _, password = login.partition(":")
    mechanism = given.get("mechanism", "plain").upper()
    if mechanism not in _MECHANISMS:
        raise ValueError(f"the mechanism is none of {', '.join(_MECHANISMS).lower()}")
    return {"sasl.mechanism": mechanism, "sasl.username": unquote(user), "sasl.password": unquote(password)}


def _tls(given: dict[str, str], ca_file: str | None) -> dict[str, str]:
    if given.get("verify", "true") not in ("true", "false"):
        raise ValueError("verify is true or false")
    if ("cert" in given) is not ("key" in given):
        raise ValueError("cert and key go together: the paths of the client's certificate and its key, in PEM")
    made = {"enable.ssl.certificate.verification": given.get("verify", "true")}
    for name, option in (("cert", "ssl.certificate.location"), ("key", "ssl.key.location")):
        if path := given.get(name):
            if not Path(path).is_file():
                raise ValueError(f"the file of {name} is not there")
            made[option] = path
    return made | ({"ssl.ca.location": ca_file} if ca_file else {})
