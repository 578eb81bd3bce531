"""Writes the tables of errors.md in both languages from shared/faults/table.py: `make settings`."""

from pathlib import Path

from shared.faults.kinds import Rule, Server
from shared.faults.table import RULES
from shared.translations import language
from shared.translations.sentences import translated
from shared.translations.texts import _

_DOCS = Path(__file__).parent
PAGES = {
    language.ENGLISH: _DOCS / "operations" / "errors.md",
    language.PORTUGUESE: _DOCS / "pt-BR" / "operations" / "errors.md",
}
BEGIN = "<!-- errors: `make settings` writes these tables, and a test compares them with shared/faults/table.py -->\n"
END = "<!-- end of errors -->\n"


def render(reader: str) -> str:
    """All servers as Markdown, each a table, in this language."""
    with language.only_here(reader):
        return "\n".join(_section(server) for server in Server)


def write() -> None:
    """Replace what stands between the marks of each page."""
    for reader, page in PAGES.items():
        before, rest = page.read_text().split(BEGIN)
        page.write_text(f"{before}{BEGIN}\n{render(reader)}\n{END}{rest.split(END)[1]}")


def _section(server: Server) -> str:
    title, codes = {
        Server.POSTGRESQL: ("PostgreSQL", _("SQLSTATE, or how it begins")),
        Server.REDIS: ("Redis", _("first word of the error")),
        Server.S3: ("S3", _("error code")),
        Server.FILES: (_("Files"), "errno"),
        Server.RABBITMQ: ("RabbitMQ", _("first word of the error")),
        Server.SQS: ("SQS", _("error code")),
        Server.KAFKA: ("Kafka", _("error name; librdkafka's own begin with _")),
    }[server]
    rows = "\n".join(_row(rule) for rule in RULES if rule.server is server)
    heads = " | ".join((codes, _("means"), _("a deletion then"), _("what helps")))
    return f"## {title}\n\n| {heads} |\n|---|---|---|---|\n{rows}\n"


def _row(rule: Rule) -> str:
    codes = ", ".join(f"`{code}`" for code in rule.codes if code) or _("any other")
    helps = translated(rule.hint)
    if rule.own:
        helps = _("{hint} Lethe's own: {own}", hint=helps, own=translated(rule.own))
    return f'| <a id="{rule.anchor}"></a>{codes} | {translated(rule.means)} | {translated(rule.kind)} | {helps} |'


if __name__ == "__main__":
    write()
