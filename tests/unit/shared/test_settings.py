"""Settings refuse to start on nonsense, and keep secrets to themselves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from shared import settings
from shared.settings import Settings
from tests.unit.conftest import REQUIRED

MakeSettings = Callable[..., Settings]
SECRETS = [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]


def set_all(monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    """The required variables, and some more, as a deployment sets them."""
    for name, value in {**REQUIRED, **changes}.items():
        monkeypatch.setenv(f"LETHE_{name.upper()}", value)


def wrong_fields(raised: pytest.ExceptionInfo[ValidationError]) -> set[str]:
    """The names in an error."""
    return {str(part) for error in raised.value.errors(include_input=False) for part in error["loc"]}


def test_the_defaults_hold_together(make_settings: MakeSettings) -> None:
    """What is required is enough; the clocks are those of the design."""
    made = make_settings()

    assert (made.slice_seconds, made.soft_limit_seconds, made.hard_limit_seconds, made.visibility_seconds) == (
        20, 45, 60, 300,
    )  # fmt: skip
    assert (made.heartbeat_seconds, made.reconcile_seconds, made.wait_seconds) == (5, 30, 25)
    assert made.deadline_seconds == 24 * 3600


@pytest.mark.parametrize("name", REQUIRED)
def test_a_setting_that_is_missing_is_named(name: str) -> None:
    """Lethe does not start without it."""
    with pytest.raises(ValidationError) as raised:
        Settings(**{other: value for other, value in REQUIRED.items() if other != name})

    assert wrong_fields(raised) == {name}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("admin_key", ""), ("admin_key", "x" * 15), ("secret_key", "x" * 31), ("secret_key", ""),
        ("gateway_timeout_seconds", 0), ("gateway_timeout_seconds", 21), ("gateway_timeout_seconds", "soon"),
        ("webhook_timeout_seconds", 0), ("webhook_timeout_seconds", 11), ("webhook_keep_seconds", 0),
        ("api_processes", 0), ("worker_concurrency", 0), ("wait_seconds", -1), ("wait_seconds", 301),
        ("api_threads", 3), ("max_waiters", 0), ("slice_seconds", 0), ("yield_seconds", 0), ("soft_limit_seconds", 0),
        ("hard_limit_seconds", 0), ("visibility_seconds", -5), ("batch_seconds", 0), ("heartbeat_seconds", 0),
        ("stale_seconds", 0), ("reconcile_seconds", 0), ("nudge_seconds", 0), ("retry_seconds", 0),
        ("pause_seconds", 0), ("max_pause_seconds", 0), ("max_failures", 0), ("deadline_seconds", 0),
        ("deadline_seconds", "nan"), ("log_format", "xml"), ("log_format", "jsonl"), ("log_level", "debug"),
        ("log_level", "TRACE"), ("redeliver_seconds", 0), ("webhook_global_by_events", "perhaps"),
    ],
)  # fmt: skip
def test_a_value_out_of_its_bounds_is_refused(make_settings: MakeSettings, name: str, value: Any) -> None:
    """By name."""
    with pytest.raises(ValidationError) as raised:
        make_settings(**{name: value})

    assert wrong_fields(raised) == {name}


@pytest.mark.parametrize("name", ["deadline_seconds", "max_pause_seconds", "nudge_seconds"])
def test_an_endless_duration_is_refused(make_settings: MakeSettings, name: str) -> None:
    """PostgreSQL and Python have no such interval."""
    with pytest.raises(ValidationError):
        make_settings(**{name: "inf"})


@pytest.mark.parametrize(
    "gateways",
    [
        "", " , ", "gateway:8080", "ftp://gateway", "http://", "http:///path", "gateway", "//gateway",
        "http://gateway?x=1", "http://gateway#x", "http://good,bad", "http://[::1", (),
    ],
)  # fmt: skip
def test_a_gateway_that_is_no_base_url_is_refused(make_settings: MakeSettings, gateways: Any) -> None:
    """One bad one among good ones, too."""
    with pytest.raises(ValidationError) as raised:
        make_settings(gateways=gateways)

    assert wrong_fields(raised) == {"gateways"}


@pytest.mark.parametrize("gateways", ["http://gateway:x", "http://gateway:99999"])
def test_a_gateway_with_an_impossible_port_is_refused(make_settings: MakeSettings, gateways: str) -> None:
    """It could never be reached."""
    with pytest.raises(ValidationError):
        make_settings(gateways=gateways)


def test_gateways_come_by_comma(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spaces around them and a slash at the end are no part of them."""
    set_all(monkeypatch, gateways=" http://one:8080/ ,https://two/base//,, ")

    made = Settings()

    assert made.gateways == ("http://one:8080", "https://two/base")


@pytest.mark.parametrize(
    "clocks",
    [
        {"slice_seconds": 45},
        {"slice_seconds": 35, "retry_seconds": 10},
        {"retry_seconds": 25},
        {"soft_limit_seconds": 60},
        {"soft_limit_seconds": 61},
        {"hard_limit_seconds": 300},
        {"visibility_seconds": 60},
        {"visibility_seconds": 59},
    ],
)
def test_clocks_that_contradict_each_other_are_refused(make_settings: MakeSettings, clocks: dict[str, Any]) -> None:
    """Slice and retries, soft limit, hard limit, visibility: each must be strictly below the next."""
    with pytest.raises(ValidationError, match="a step runs twice"):
        make_settings(**clocks)


def test_three_heartbeats_fit_into_the_silence_of_a_living_owner(make_settings: MakeSettings) -> None:
    """Exactly three are enough, fewer are not."""
    assert make_settings(heartbeat_seconds=10, stale_seconds=30)

    with pytest.raises(ValidationError, match="three heartbeats"):
        make_settings(heartbeat_seconds=10, stale_seconds=29.9)


def test_waiting_calls_leave_threads_for_others(make_settings: MakeSettings) -> None:
    """As many waiters as threads would block the rest."""
    assert make_settings(max_waiters=31, api_threads=32)

    with pytest.raises(ValidationError, match="max_waiters"):
        make_settings(max_waiters=32, api_threads=32)


def test_a_secret_can_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As containers are handed theirs; the line break at its end is no part of it."""
    set_all(monkeypatch)
    monkeypatch.delenv("LETHE_ADMIN_KEY")
    (tmp_path / "key").write_text(" a key from a file \n")
    monkeypatch.setenv("LETHE_ADMIN_KEY_FILE", str(tmp_path / "key"))

    made = Settings()

    assert made.admin_key.get_secret_value() == " a key from a file "


def test_any_setting_can_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Lists and numbers are read as in a variable."""
    set_all(monkeypatch)
    monkeypatch.delenv("LETHE_GATEWAYS")
    for name, text in {"gateways": "http://a,http://b\n", "max_failures": "7"}.items():
        (tmp_path / name).write_text(text)
        monkeypatch.setenv(f"LETHE_{name.upper()}_FILE", str(tmp_path / name))

    made = Settings()

    assert (made.gateways, made.max_failures) == (("http://a", "http://b"), 7)


def test_a_variable_comes_before_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If both are set."""
    set_all(monkeypatch, admin_key="from-the-variable-itself")
    (tmp_path / "key").write_text("from-the-file-it-names")
    monkeypatch.setenv("LETHE_ADMIN_KEY_FILE", str(tmp_path / "key"))

    assert Settings().admin_key.get_secret_value() == "from-the-variable-itself"


def test_a_file_is_no_way_around_a_rule(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A short key from a file is as short, and not shown either."""
    set_all(monkeypatch)
    monkeypatch.delenv("LETHE_ADMIN_KEY")
    (tmp_path / "key").write_text("tooshort")
    monkeypatch.setenv("LETHE_ADMIN_KEY_FILE", str(tmp_path / "key"))

    with pytest.raises(ValidationError) as raised:
        Settings()

    assert wrong_fields(raised) == {"admin_key"}
    assert "tooshort" not in str(raised.value)


def test_a_file_that_is_not_there_stops_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With its name."""
    set_all(monkeypatch)
    monkeypatch.setenv("LETHE_ADMIN_KEY_FILE", str(tmp_path / "missing"))

    with pytest.raises(FileNotFoundError, match="missing"):
        Settings()


def test_what_carries_a_password_is_a_secret() -> None:
    """Keys, and URLs with a user and a password in them."""
    assert {name for name in Settings.model_fields if name.endswith("_key")} <= set(SECRETS)
    assert {"database_url", "tenant_database_url", "redis_url", "broker_url", "cache_url", "rabbitmq_url"} <= set(
        SECRETS
    )


@pytest.mark.parametrize("name", [name for name in SECRETS if name not in ("webhook_key", "receipt_key")])
def test_a_secret_is_never_shown(make_settings: MakeSettings, name: str) -> None:
    """Neither in repr nor in str nor in JSON."""
    schemes = dict.fromkeys(("database_url", "tenant_database_url"), "postgresql://")
    scheme = (schemes | {"rabbitmq_url": "amqp://", "kafka_url": "kafka://", "notify_url": "https://"}).get(
        name, "redis://"
    )
    secret = f"{scheme}hunter2:{'hunter2' * 8}@host.invalid" if name.endswith("_url") else "hunter2:" * 8
    made = make_settings(**{name: secret})

    shown = f"{made!r} {made} {made.model_dump()} {made.model_dump_json()}"

    assert getattr(made, name) == SecretStr(secret)
    assert "hunter2" not in shown


@pytest.mark.parametrize("name", REQUIRED)
def test_an_error_repeats_no_value(make_settings: MakeSettings, name: str) -> None:
    """A password in the wrong variable does not end in a log."""
    values = {
        **REQUIRED,
        "secret_key": "hunter2" * 10,
        "admin_key": "hunter2" * 10,
        name: 5 if name != "gateways" else "hunter2",
    }

    with pytest.raises(ValidationError) as raised:
        make_settings(**{**values, "slice_seconds": "hunter2", "log_level": "hunter2"})

    assert "hunter2" not in str(raised.value)


def test_an_error_between_settings_repeats_no_value(make_settings: MakeSettings) -> None:
    """The clocks' error is about all of them at once."""
    with pytest.raises(ValidationError) as raised:
        make_settings(visibility_seconds=1)

    assert REQUIRED["secret_key"] not in str(raised.value)
    assert REQUIRED["admin_key"] not in str(raised.value)


def test_settings_do_not_change(make_settings: MakeSettings) -> None:
    """They are read once."""
    made = make_settings()

    with pytest.raises(ValidationError, match="frozen"):
        made.max_failures = 1


def test_without_a_broker_redis_is_the_broker(make_settings: MakeSettings) -> None:
    """An empty variable is none."""
    assert make_settings(broker_url="amqp://b.invalid").broker == "amqp://b.invalid"
    assert make_settings().broker == make_settings(broker_url="").broker == "redis://redis.invalid/0"


def test_an_empty_files_root_is_no_folder(make_settings: MakeSettings) -> None:
    """Compose files hand empty variables over."""
    assert make_settings(files_root="").files_root is None


def test_an_empty_cache_url_is_no_cache(make_settings: MakeSettings) -> None:
    """Compose files hand empty variables over."""
    assert make_settings(cache_url="").cache_url is None


@pytest.mark.parametrize("name", ["database_url", "tenant_database_url", "redis_url", "cache_url", "broker_url"])
def test_a_url_that_is_none_is_refused(make_settings: MakeSettings, name: str) -> None:
    """At the start, by name."""
    with pytest.raises(ValidationError):
        make_settings(**{name: "nonsense"})


def test_a_webhook_key_is_accepted(make_settings: MakeSettings) -> None:
    """In the form of Standard Webhooks."""
    made = make_settings(webhook_key=f"whsec_{'A' * 44}")

    assert made.webhook_key == SecretStr(f"whsec_{'A' * 44}")


@pytest.mark.parametrize("key", ["A" * 44, f"whsec_{'A' * 31}", f"whsec_{'A' * 33}", f"whsec_{'=' * 44}"])
def test_a_webhook_key_that_cannot_sign_is_refused(make_settings: MakeSettings, key: str) -> None:
    """At the start and by name, not at each delivery; base64 or nothing."""
    with pytest.raises(ValidationError) as raised:
        make_settings(webhook_key=key)

    assert wrong_fields(raised) == {"webhook_key"}


def test_every_setting_is_described() -> None:
    """The settings table is made of these."""
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_settings_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process does not change its mind."""
    set_all(monkeypatch)
    settings.read.cache_clear()

    first = settings.read()
    monkeypatch.setenv("LETHE_MAX_FAILURES", "9")

    assert settings.read() is first
    settings.read.cache_clear()


@pytest.mark.parametrize(("extra", "given"), [("otel", {"traces": True}), ("kafka", {"kafka_url": "kafka://h"})])
def test_what_needs_a_library_is_refused_without_it_at_the_start(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, extra: str, given: dict[str, Any]
) -> None:
    """With the command that brings it."""
    monkeypatch.setattr("shared.settings.model.find_spec", lambda _: None)

    with pytest.raises(ValidationError, match=rf"lethe\[{extra}\]"):
        make_settings(**given)
    assert make_settings().traces is False


def test_what_is_wrong_is_said_for_who_sets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable's name and in characters, and never with a value."""
    set_all(monkeypatch, admin_key="hidden-word", secret_key="also-short")
    monkeypatch.delenv("LETHE_REDIS_URL")

    with pytest.raises(ValidationError) as raised:
        Settings()

    said = settings.explain(raised.value)
    assert said.splitlines()[1:] == [
        "  LETHE_ADMIN_KEY: must be of 16 characters or more, it has 11",
        "  LETHE_SECRET_KEY: must be of 32 characters or more, it has 10",
        "  LETHE_REDIS_URL: is not set",
    ]


def test_a_setting_of_an_earlier_version_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no effect any more; an upgrade needs no step."""
    set_all(monkeypatch)
    monkeypatch.setenv("LETHE_ROW_CONNECTIONS", "2")

    assert Settings()


@pytest.mark.parametrize(("typed", "meant"), [("LETHE_GATEWAY_KYE", " (is it LETHE_GATEWAY_KEY?)"), ("LETHE_X", "")])
def test_a_misspelt_setting_is_refused_with_what_it_may_be(
    monkeypatch: pytest.MonkeyPatch, typed: str, meant: str
) -> None:
    """And with no guess where nothing is like it."""
    set_all(monkeypatch)
    monkeypatch.setenv(typed, "x")

    with pytest.raises(ValidationError) as raised:
        Settings()

    assert settings.explain(raised.value).endswith(f"there is no setting called {typed}{meant}")


@pytest.mark.parametrize(
    ("origins", "accepted"),
    [
        ("https://panel.example, http://localhost:5173", True),
        ("http://[::1]:8080", True),
        ("", True),
        ("*", False),
        ("null", False),
        ("panel.example", False),
        ("https://panel.example/", False),
        ("https://panel.example/path", False),
        ("https://*.example", False),
        ("https://Panel.example", False),
        ("https://user@panel.example", False),
        ("https://panel.example,*", False),
    ],
)
def test_origins_are_written_as_browsers_send_them(make_settings: MakeSettings, origins: str, accepted: bool) -> None:
    """Each is compared as a whole; none stands for all."""
    if accepted:
        assert len(make_settings(cors_origins=origins).cors_origins) == len(origins.split(",")) * bool(origins)
        return
    with pytest.raises(ValidationError) as raised:
        make_settings(cors_origins=origins)
    assert wrong_fields(raised) == {"cors_origins"}
