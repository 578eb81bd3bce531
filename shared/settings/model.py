"""What Lethe's settings cannot be, and where their values come from."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import ModelWrapValidatorHandler, PrivateAttr, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from shared.servers import REDIS_SCHEMES, kafka, postgresql
from shared.settings import checks
from shared.settings.errors import or_nearest, raise_wrong
from shared.settings.fields import Fields
from shared.settings.forms import certificates, published
from shared.settings.forms.translation import translate
from shared.settings.sources import PREFIX, FileSource, of_this_process

# Variables of docker-compose.yml, which passes its whole .env to Lethe.
_OF_COMPOSE = {"LETHE_PORT", "LETHE_FLOWER_PORT", "LETHE_DATABASE_PASSWORD"}
_WITHOUT_EFFECT = {"LETHE_ROW_CONNECTIONS"}  # settings of earlier versions
_POSTGRES = ("postgresql", "postgres")
_SCHEMES = {
    "database_url": _POSTGRES,
    "tenant_database_url": _POSTGRES,
    "rabbitmq_url": ("amqp", "amqps"),
    "kafka_url": kafka.SCHEMES,
    "broker_url": (),  # of any kind
    "timestamp_url": ("http", "https"),
}


class Settings(Fields):
    """Lethe's settings. Wrong ones raise ValidationError. Durations are in seconds."""

    _left_out: dict[str, tuple[str, ...]] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Values passed in, else the environment, else files that it names."""
        return init_settings, env_settings, FileSource(settings_cls)

    @model_validator(mode="wrap")
    @classmethod
    def _translate(cls, given: dict[str, Any], handler: ModelWrapValidatorHandler[Self]) -> Self:
        translated = translate(given)
        raise_wrong(cls.__name__, translated.wrong)
        made = handler(translated.values)
        made._left_out = translated.left_out
        return made

    @field_validator("gateways", "webhook_allow", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(url.strip() for url in value.split(",") if url.strip()) if isinstance(value, str) else value

    @field_validator("gateways")
    @classmethod
    def _check_gateways(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        return checks.gateways(urls)

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return checks.origins(origins)

    @field_validator(
        "database_url", "tenant_database_url", "redis_url", "cache_url", "broker_url", "rabbitmq_url", "kafka_url"
    )
    @classmethod
    def _check_url(cls, url: SecretStr | None, field: ValidationInfo) -> SecretStr | None:
        if url is None:
            return None
        scheme = urlsplit(url.get_secret_value()).scheme
        known = _SCHEMES.get(str(field.field_name), REDIS_SCHEMES)
        if (known and scheme not in known) or not scheme:
            beginnings = " or ".join(f"{each}://" for each in known or ("x",))
            raise ValueError(f"a URL is needed that begins with {beginnings}")
        if known is _POSTGRES:
            postgresql.check(url.get_secret_value())
        if known is kafka.SCHEMES:
            kafka.configuration(url.get_secret_value(), None)
        if scheme in REDIS_SCHEMES and (scheme.startswith("sentinel") or "?" in url.get_secret_value()):
            from shared.servers import redis  # with redis-py, which most commands of the CLI do not need

            redis.check(url.get_secret_value())
        return url

    @field_validator("webhook_key")
    @classmethod
    def _check_webhook_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None:
            checks.webhook_key(key.get_secret_value())
        return key

    @field_validator("export_recipient")
    @classmethod
    def _check_recipient(cls, key: str | None) -> str | None:
        if key is not None:
            checks.age_recipient(key)
        return key

    @field_validator("receipt_key")
    @classmethod
    def _check_receipt_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None:
            from shared import signing  # with cryptography: 9 MB, which beat and Flower do not need

            signing.read_private_key(key.get_secret_value())
        return key

    @field_validator("ca_file", "timestamp_ca_file")
    @classmethod
    def _check_certificates(cls, path: Path | None) -> Path | None:
        if path is not None:
            certificates.check(path)
        return path

    @field_validator(
        "files_root",
        "ca_file",
        "timestamp_ca_file",
        "timestamp_url",
        "cache_url",
        "broker_url",
        "rabbitmq_url",
        "kafka_url",
        mode="before",
    )
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @model_validator(mode="after")
    def _check_spelling(self) -> Self:
        known = {f"{PREFIX}{name.upper()}{suffix}" for name in type(self).model_fields for suffix in ("", "_FILE")}
        unknown = of_this_process() - known - _OF_COMPOSE - _WITHOUT_EFFECT
        if unknown:  # a misspelt LETHE_CONFIRMATION would otherwise confirm nothing
            raise ValueError(
                f"there is no setting called {', '.join(or_nearest(each, known) for each in sorted(unknown))}"
            )
        return self

    @model_validator(mode="after")
    def _check_gateway_key(self) -> Self:
        if self.gateway_key_may_delete:
            published.check(self.gateway_key.get_secret_value(), self.admin_key.get_secret_value())
        return self

    @model_validator(mode="after")
    def _check_clocks(self) -> Self:
        clocks = (self.slice_seconds, self.soft_limit_seconds, self.hard_limit_seconds, self.visibility_seconds)
        if not clocks[0] + self.retry_seconds < clocks[1] < clocks[2] < clocks[3]:
            raise ValueError("slice + retry < soft limit < hard limit < visibility must hold, else a step runs twice")
        if self.heartbeat_seconds * 3 > self.stale_seconds:
            raise ValueError("stale_seconds must be at least three heartbeats, else a working owner counts as dead")
        if self.max_waiters >= self.api_threads:
            raise ValueError("max_waiters must be below api_threads, else waiting calls block all others")
        return self

    @model_validator(mode="after")
    def _check_export(self) -> Self:
        if self.export == "required" and not self.export_to:
            raise ValueError("LETHE_EXPORT=required needs LETHE_EXPORT_TO")
        return self

    @model_validator(mode="after")
    def _check_extras(self) -> Self:
        if self.traces and find_spec("opentelemetry") is None:
            raise ValueError("LETHE_TRACES needs what `pip install lethe[otel]` brings")
        if self.kafka_url and find_spec("confluent_kafka") is None:
            raise ValueError("LETHE_KAFKA_URL needs what `pip install lethe[kafka]` brings")
        return self

    @property
    def left_out(self) -> dict[str, tuple[str, ...]]:
        """By setting: names of parameters of its URL that mean nothing here and are not used."""
        return self._left_out

    @property
    def replicas(self) -> tuple[str, ...]:
        """The URLs of all replicas."""
        urls = self.replica_urls.get_secret_value() if self.replica_urls else ""
        return tuple(url.strip() for url in urls.split(",") if url.strip())

    @property
    def broker(self) -> str:
        """The broker's URL, Redis unless another was named."""
        return (self.broker_url or self.redis_url).get_secret_value()
