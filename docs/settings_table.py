"""Writes the tables of docs/settings.md from shared/settings/fields.py: `make settings`."""

from pathlib import Path

from shared.settings import Settings

PAGE = Path(__file__).with_name("settings.md")
BEGIN = (
    "<!-- settings: `make settings` writes these tables, and a test compares them with shared/settings/fields.py -->\n"
)
END = "<!-- end of settings -->\n"

NEEDED = "Needed"
TIMES = "Advanced: times and limits"
# Required settings are in NEEDED, and those that no group names in TIMES.
GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    NEEDED: ("Lethe does not start without them.", ()),
    "Common": (
        "Set the stores that your deployment uses. Lethe removes nothing from a store that is not set. With the table"
        " above, these are enough for most deployments; all further tables are for special needs.",
        (
            "cache_url", "files_root", "s3_bucket", "s3_access_key", "s3_secret_key", "rabbitmq_url", "sqs_region",
            "kafka_url", "bind",
        ),
    ),
    "Advanced: Evolution's stores": (
        "Set them when your deployment differs from Evolution's defaults.",
        (
            "tenant_schema", "cache_prefix", "s3_endpoint", "s3_port", "s3_use_ssl", "s3_region", "s3_addressing",
            "sqs_endpoint", "sqs_access_key", "sqs_secret_key", "kafka_topic_prefix", "shared_queue_names",
        ),
    ),
    "Advanced: who may delete": (
        "See [keys and roles](keys.md) and [confirmation](confirmation.md).",
        (
            "instance_tokens_may_delete", "gateway_key_may_delete",
            "limit_per_minute", "limit_per_hour", "limit_bulk_per_hour", "wrong_keys_per_minute",
            "grace_seconds", "confirmation", "code_lock_seconds", "console_idle_seconds",
        ),
    ),
    "Advanced: webhooks and receipts": (
        "See [webhooks](api.md#webhooks) and [receipts](receipts.md).",
        (
            "webhook_global_url", "webhook_global_by_events", "webhook_allow", "webhook_key", "webhook_form",
            "webhook_server_url", "notify_url", "notify_form", "notify_waiting_minutes", "receipt_key",
            "timestamp_url", "timestamp_ca_file",
        ),
    ),
    "Advanced: exports": (
        "See [export](export.md).",
        ("export", "export_to", "export_recipient"),
    ),
    "Advanced: Lethe's own processes": (
        "See [sizing](operations/sizing.md) and [brokers](operations/brokers.md).",
        (
            "broker_url", "ca_file", "trusted_proxies", "cors_origins", "api_processes", "worker_concurrency",
            "log_format", "log_level", "traces",
        ),
    ),
    "Advanced: load on Evolution's database": (
        "`lethe throttle` changes the first two without a restart.",
        (
            "batch_seconds", "pause_between_batches_seconds", "row_triggers",
            "replica_urls", "replica_lag_seconds",
        ),
    ),
    TIMES: ("The defaults fit together. Change them only for a reason.", ()),
}  # fmt: skip


def render() -> str:
    """All groups as Markdown, each a table."""
    return "\n".join(_section(title, why, _members(title)) for title, (why, _) in GROUPS.items())


def write() -> None:
    """Replace the text between the marks of the page."""
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{render()}\n{END}{rest.split(END)[1]}")


def _members(title: str) -> list[str]:
    if title == NEEDED:
        return [name for name, field in Settings.model_fields.items() if field.is_required()]
    if title != TIMES:
        return list(GROUPS[title][1])
    grouped = {name for _, names in GROUPS.values() for name in names}
    return [name for name, field in Settings.model_fields.items() if not field.is_required() and name not in grouped]


def _section(title: str, why: str, names: list[str]) -> str:
    rows = "\n".join(_row(name) for name in names)
    return f"## {title}\n\n{why}\n\n| setting | default | meaning |\n|---|---|---|\n{rows}\n"


def _row(name: str) -> str:
    field = Settings.model_fields[name]
    default = "required" if field.is_required() else "" if field.default in (None, ()) else f"`{field.default}`"
    return f"| `LETHE_{name.upper()}` | {default} | {field.description} |"


if __name__ == "__main__":
    write()
