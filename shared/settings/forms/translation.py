"""Brings the values of all settings into the forms that Lethe uses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from shared.settings.forms import postgresql, servers
from shared.settings.forms.text import unquoted

# Its exact characters made hashes and ciphertexts that are stored: no quote and no line end is taken off.
AS_IT_IS = "secret_key"
_TRUE = ("true", "1", "yes", "on", "t", "y")
_WEB = ("http://", "https://")


@dataclass
class Translated:
    """The values, the parameters that were left out, and what cannot work, by setting."""

    values: dict[str, Any]
    left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The value as text; empty when it is not set."""
        value = self.values.get(name)
        return value.get_secret_value() if isinstance(value, SecretStr) else value if isinstance(value, str) else ""

    def replace(self, name: str, text: str) -> None:
        """Set another text, which is a secret where it was one."""
        self.values[name] = SecretStr(text) if isinstance(self.values.get(name), SecretStr) else text


def translate(given: Mapping[str, Any]) -> Translated:
    """The values as Lethe uses them; never raises."""
    made = Translated(dict(given))
    for name in given:
        if name != AS_IT_IS and made.text(name):
            _unquote(made, name)
    for name, translate_one in _ONE_BY_ONE.items():
        if made.text(name):
            try:
                translate_one(made, name)
            except ValueError as error:
                made.wrong[name] = str(error)
    return made


def _unquote(made: Translated, name: str) -> None:
    text = unquoted(made.text(name))
    if text:
        made.replace(name, text)
    else:
        del made.values[name]  # '' is not set


def _tenant_database(made: Translated, name: str) -> None:
    found = postgresql.translate(made.text(name))
    made.replace(name, found.url)
    if found.schema:
        made.values.setdefault("tenant_schema", found.schema)
    _note(made, name, found.left_out)


def _own_database(made: Translated, name: str) -> None:
    found = postgresql.translate(made.text(name))
    if found.schema not in (None, "public"):
        raise ValueError(
            "schema is Prisma's: leave it out, and let the role's search_path begin with the schema for Lethe's tables"
        )
    made.replace(name, found.url)
    _note(made, name, found.left_out)


def _replicas(made: Translated, name: str) -> None:
    if "?" not in made.text(name):
        return
    found = [postgresql.translate(url.strip()) for url in made.text(name).split(",") if url.strip()]
    made.replace(name, ",".join(each.url for each in found))
    _note(made, name, tuple(dict.fromkeys(each for url in found for each in url.left_out)))


def _redis(made: Translated, name: str) -> None:
    url, left_out = servers.redis(made.text(name))
    made.replace(name, url)
    _note(made, name, left_out)


def _rabbitmq(made: Translated, name: str) -> None:
    url, left_out = servers.amqp(made.text(name))
    made.replace(name, url)
    _note(made, name, left_out)


def _s3_endpoint(made: Translated, name: str) -> None:
    port, use_ssl = made.values.get("s3_port"), made.values.get("s3_use_ssl")
    secure = use_ssl.strip().lower() in _TRUE if isinstance(use_ssl, str) else use_ssl
    number = int(str(port)) if str(port or "").strip().isdigit() else None  # anything else is refused as a port
    endpoint = servers.s3_endpoint(made.text(name), number, secure)
    made.replace(name, endpoint)
    if region := servers.region_of(endpoint):
        made.values.setdefault("s3_region", region)


def _web_address(made: Translated, name: str) -> None:
    if not made.text(name).startswith(_WEB):
        raise ValueError("a URL is needed that begins with http:// or https://")


def _note(made: Translated, name: str, left_out: tuple[str, ...]) -> None:
    if left_out:
        made.left_out[name] = left_out


_ONE_BY_ONE = {
    "database_url": _own_database,
    "tenant_database_url": _tenant_database,
    "replica_urls": _replicas,
    "redis_url": _redis,
    "cache_url": _redis,
    "rabbitmq_url": _rabbitmq,
    "s3_endpoint": _s3_endpoint,
    "sqs_endpoint": _web_address,
    "webhook_global_url": _web_address,
    "notify_url": _web_address,
}
