"""Writes the tables of docs/operations/errors.md from shared/faults/table.py: `make settings`."""

from pathlib import Path

from shared.faults.kinds import Rule, Server
from shared.faults.table import RULES

PAGE = Path(__file__).parent / "operations" / "errors.md"
BEGIN = "<!-- errors: `make settings` writes these tables, and a test compares them with shared/faults/table.py -->\n"
END = "<!-- end of errors -->\n"
_TITLES = {
    Server.POSTGRESQL: ("PostgreSQL", "SQLSTATE, or how it begins"),
    Server.REDIS: ("Redis", "first word of the error"),
    Server.S3: ("S3", "error code"),
    Server.FILES: ("Files", "errno"),
    Server.RABBITMQ: ("RabbitMQ", "first word of the error"),
    Server.SQS: ("SQS", "error code"),
    Server.KAFKA: ("Kafka", "error name; librdkafka's own begin with _"),
}


def render() -> str:
    """All servers as Markdown, each a table."""
    return "\n".join(_section(server) for server in Server)


def write() -> None:
    """Replace what stands between the marks of the page."""
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{render()}\n{END}{rest.split(END)[1]}")


def _section(server: Server) -> str:
    title, codes = _TITLES[server]
    rows = "\n".join(_row(rule) for rule in RULES if rule.server is server)
    return f"## {title}\n\n| {codes} | means | a deletion then | what helps |\n|---|---|---|---|\n{rows}\n"


def _row(rule: Rule) -> str:
    codes = ", ".join(f"`{code}`" for code in rule.codes if code) or "any other"
    helps = f"{rule.hint} Lethe's own: {rule.own}" if rule.own else rule.hint
    return f'| <a id="{rule.anchor}"></a>{codes} | {rule.means} | {rule.kind} | {helps} |'


if __name__ == "__main__":
    write()
