"""What `lethe doctor` does: runs the checks; with --fix it only creates missing indexes."""

from dataclasses import asdict

import click

from cli.doctor import checks
from cli.doctor.findings import Finding, Verdict, explain
from cli.language import confirm
from cli.runtime import NOT_POSSIBLE, connected, make_services, print_json, stop
from shared import formatting
from shared.errors import LetheError
from shared.evolution.rows import missing_indexes
from shared.evolution.rows.missing_indexes import MissingIndex
from shared.services import Services
from shared.translations import language
from shared.translations.sentences import translated
from shared.translations.texts import _


def examine(fix: bool, yes: bool, as_json: bool) -> None:
    """Run the checks and show each finding; with fix, create the missing indexes instead."""
    if fix and as_json and not yes:
        raise click.UsageError(_("--fix with --json needs --yes: a script cannot be asked"))
    if fix:
        _create_missing_indexes(yes=yes, as_json=as_json)
        return
    report(make_services(), as_json=as_json)


def report(made: Services, *, as_json: bool) -> None:
    """Run the checks with these services, show each finding, and close them; exit code 1 when something is broken."""
    try:
        with language.only_here(language.ENGLISH if as_json else language.current()):  # JSON is the same for everybody
            findings = [_print_finding(finding, as_json=as_json) for finding in checks.examine(made)]
    finally:
        made.close()
    if as_json:
        print_json([asdict(finding) for finding in findings])
    if any(finding.verdict is Verdict.BROKEN for finding in findings):
        raise click.exceptions.Exit(NOT_POSSIBLE)


def _print_finding(finding: Finding, *, as_json: bool) -> Finding:
    """Print the finding at once, except for JSON, and return it: a check of a dead server takes seconds."""
    if not as_json:
        click.echo(f"{_mark(finding.verdict)}  {translated(finding.part)}: {translated(finding.says)}")
        if finding.advice:
            click.echo(f"         -> {translated(finding.advice)}")
    return finding


def _mark(verdict: Verdict) -> str:
    marks = {
        Verdict.OK: (_("ok"), "green"),
        Verdict.WARNING: (_("warning"), "yellow"),
        Verdict.BROKEN: (_("BROKEN"), "red"),
        Verdict.UNUSED: (_("unused"), None),
    }
    (words, colour), width = marks[verdict], max(len(each) for each, _colour in marks.values())
    return click.style(f"{words:<{width}}", fg=colour)


def _create_missing_indexes(*, yes: bool, as_json: bool) -> None:
    with connected() as made:
        missing = missing_indexes.find(made.tenant)
        creatable = [each for each in missing if each.may_create and not each.partitioned]
        for_owner = [each for each in missing if each not in creatable]
        if not as_json:
            _print_missing(made, creatable, for_owner)
        if creatable and not yes:
            confirm(
                _("Create {indexes} now?", indexes=formatting.quantity(len(creatable), "index", "indexes")),
                abort=True,
            )
        outcomes = [_create(made, each, as_json=as_json) for each in creatable]
        outcomes += [_index_result(made, each, "not the owner") for each in for_owner]
    if as_json:
        print_json(outcomes)
    if for_owner and not any(outcome["error"] for outcome in outcomes[: len(creatable)]):
        stop(_("The other indexes are for the owner of their tables: see above"))
    if any(outcome["error"] for outcome in outcomes):
        stop(_("Not all indexes could be created; run it again, an unfinished index is replaced"))


def _print_missing(made: Services, creatable: list[MissingIndex], for_owner: list[MissingIndex]) -> None:
    """Print the missing indexes, and the SQL for those that the tables' owner must create."""
    if not creatable and not for_owner:
        click.echo(_("No index is missing"))
    for each in creatable:
        click.echo(
            f"{each.name}: {translated(each.cost) if each.is_costly else _('its table is too small to matter today')}"
        )
    if for_owner:
        click.echo(_("Lethe's role does not own these tables, or they are partitioned. Let their owner run:"))
    for each in for_owner:
        click.echo(f"  {each.statement(made.settings.tenant_schema)};")


def _create(made: Services, missing: MissingIndex, *, as_json: bool) -> dict[str, str | None]:
    error = None
    try:
        missing_indexes.create(made.tenant, missing)
    except LetheError as problem:
        error = explain("tenant database", problem)
    if not as_json:
        click.echo(f"{missing.name}: {translated(error) if error else _('created')}")
    return _index_result(made, missing, error)


def _index_result(made: Services, missing: MissingIndex, error: str | None) -> dict[str, str | None]:
    return {"index": missing.name, "sql": missing.statement(made.settings.tenant_schema), "error": error}
