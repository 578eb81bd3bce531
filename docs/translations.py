"""Collects all texts into the catalogue of translations and compiles it: `make translations`."""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from itertools import product
from pathlib import Path

import click
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from cli.language import OF_CLICK
from cli.main import main
from docs.syntax import parse
from shared.settings import PREFIX
from shared.translations.sentences import CONTEXT

ROOT = Path(__file__).parents[1]
PACKAGES = ("api", "cli", "shared", "tasks", "worker")
FOLDER = ROOT / "shared/translations/locale/pt_BR/LC_MESSAGES"
PO, MO = FOLDER / "lethe.po", FOLDER / "lethe.mo"
_TEMPLATES = {"newstyle_gettext": "true", "trimmed": "true"}
_HEADERS = [
    ("Language", "pt_BR"),
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Plural-Forms", "nplurals=2; plural=(n > 1);"),
]
_OTHER_HEADERS = re.compile(r'^"(?!Language:|Plural-Forms:|Content-Type:)[A-Z][\w-]+: .*\n', re.MULTILINE)

# Classes that are always raised with a sentence.
_BASE_CLASSES = {ROOT / path for path in ("shared/errors.py", "api/request/errors.py", "cli/setup/problems.py")}
_VALUES = re.compile(r"\{([a-z]\w*)\}")
# Calls whose arguments are sentences or parts of them, beside those of errors.
_OF_SENTENCES = {"N_", "__init__", "translate_errors", "explain", "explain_code", "partial"}
_SQL = ("SELECT ", "GRANT ", "ALTER ")
_WORDS = re.compile(r"[A-Za-z]{2}.* |^[a-z]{4,}$")

_FINDINGS = ROOT / "cli/doctor"  # its modules make sentences, and little else

Id = str | tuple[str, str]
Found = tuple[Id, str | None]  # the text, or singular and plural, and its context


@cache
def collect() -> frozenset[Found]:
    """Every text of the product, of its commands' help, and of click."""
    modules = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    trees = {path: parse(path.read_text()) for path in (*modules, ROOT / "docs/errors_table.py")}
    errors = _error_classes([*trees.values()])
    found: set[Found] = set()
    for path, tree in trees.items():
        found.update(_of_module(tree, errors, with_titles=path not in _BASE_CLASSES))
        if path.parent == _FINDINGS:
            found.update((text, CONTEXT) for text in _all_sentences(tree))
    for path in (ROOT / "api/console/templates").glob("*.html"):
        extracted = extract_from_file("jinja2.ext:babel_extract", path, options=_TEMPLATES)
        found.update((text, None) for _, text, _, _ in extracted)  # type: ignore[misc] # Babel's types say object
    for module in OF_CLICK:
        extracted = extract_from_file("python", str(module.__file__))
        found.update((text, None) for _, text, _, _ in extracted)  # type: ignore[misc]
    found.update((text, None) for text in (*_help(main), "required"))  # the last one, click looks up by a variable
    return frozenset(each for each in found if each[0])


def render(old: Catalog) -> Catalog:
    """A catalogue of all texts, with the translations of the old one."""
    new = Catalog(locale="pt_BR", header_comment="# Brazilian Portuguese texts of Lethe.", fuzzy=False)
    new.mime_headers = _HEADERS
    for text, context in collect():
        kept = old.get(text if isinstance(text, str) else text[0], context)
        new.add(text, kept.string if kept and not kept.fuzzy else None, context=context, flags=())
    return new


def read() -> Catalog:
    """The catalogue as it is on disk."""
    with PO.open("rb") as file:
        return read_po(file, locale="pt_BR")


def write() -> None:
    """Write the catalogue, sorted and without places and dates, so that two changes seldom meet; then compile it."""
    new = render(read())
    with PO.open("wb") as file:
        write_po(file, new, width=0, no_location=True, sort_output=True)
    head, blank, rest = PO.read_text().partition("\n\n")
    PO.write_text(_OTHER_HEADERS.sub("", f"{head}\n") + blank[1:] + rest)
    MO.write_bytes(compiled())
    print(f"{len(new)} texts, {len(untranslated(new))} without a translation")  # noqa: T201 - a tool


def untranslated(catalogue: Catalog) -> list[object]:
    """The texts that have no translation yet, or a doubtful one."""
    return [each.id for each in catalogue if each.id and (each.fuzzy or not each.string or not all(each.string))]


def compiled() -> bytes:
    """What gettext reads, of the catalogue on disk."""
    catalogue, made = read(), BytesIO()
    catalogue.creation_date = catalogue.revision_date = datetime.fromtimestamp(0, UTC)  # else the time of this call
    write_mo(made, catalogue)
    return made.getvalue()


def _help(command: click.Command) -> Iterator[str]:
    yield from filter(None, (command.help, command.short_help, command.epilog))
    yield from filter(None, (getattr(option, "help", None) for option in command.params))
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from _help(each)


def _error_classes(trees: list[ast.Module]) -> dict[str, str]:
    """Names of the errors of the product, with the first line of their docstrings, which is the sentence of most."""
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    found = {"Exception": "", "ValueError": "", "UsageError": "", "BadParameter": ""}
    size = 0
    while size != len(found):
        size = len(found)
        for each in classes:
            if any(ast.unparse(base).rpartition(".")[2] in found for base in each.bases):
                found[each.name] = (ast.get_docstring(each) or "").partition("\n")[0]
    return found


def _of_module(tree: ast.Module, errors: dict[str, str], *, with_titles: bool) -> Iterator[Found]:
    constants = {ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)}
    for node in ast.walk(tree):
        if with_titles and isinstance(node, ast.ClassDef) and errors.get(node.name):
            yield errors[node.name], CONTEXT
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            yield from _of_call(node, name, errors)
            if name in _OF_SENTENCES or name in errors:
                used = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} & constants.keys()
                yield from ((text, CONTEXT) for each in used for text in _forms(constants[each]) if " " in text)


def _all_sentences(node: ast.AST) -> Iterator[str]:
    """Every sentence of a module that makes little else, and the names of its parts; no docstring and no SQL."""
    match node:
        case ast.Expr(value=ast.Constant()):
            return
        case ast.Call(func=ast.Name(id="text" | "_")):
            return
        case ast.Call(func=ast.Name(id="Finding"), args=texts):
            yield from (str(each.value) for each in texts if isinstance(each, ast.Constant))
        case ast.Dict(keys=keys):
            yield from (str(key.value) for key in keys if isinstance(key, ast.Constant) and str(key.value).islower())
        case ast.Constant() | ast.JoinedStr() | ast.BinOp() | ast.IfExp():
            yield from (text for text in _sentences(node) if " " in text and not text.startswith(_SQL))
    if not isinstance(node, ast.JoinedStr):
        for child in ast.iter_child_nodes(node):
            yield from _all_sentences(child)


def _of_call(call: ast.Call, name: str, errors: dict[str, str]) -> Iterator[Found]:
    texts = [str(argument.value) for argument in call.args if isinstance(argument, ast.Constant)]
    if name == "_" and texts:
        yield texts[0], None
    elif name == "ngettext" and len(texts) == 2:
        yield (texts[0], texts[1]), None
    elif name == "quantity" and texts:
        yield (f"{{n:,}} {texts[0]}", f"{{n:,}} {texts[1] if len(texts) > 1 else f'{texts[0]}s'}"), None
    elif name in _OF_SENTENCES or name in errors:
        yield from ((text, CONTEXT) for argument in call.args for text in _sentences(argument))
    elif name == "Rule":
        hints = [*call.args[3:], *(word.value for word in call.keywords if word.arg in ("hint", "own"))]
        yield from ((text, CONTEXT) for hint in hints for text in _sentences(hint))


def _sentences(node: ast.expr) -> Iterator[str]:
    """All that the expression can say, with the names of its values in braces, and all that is said inside of them."""
    yield from filter(_has_words, _forms(node))
    for part in ast.walk(node):
        if isinstance(part, ast.FormattedValue | ast.IfExp) and part is not node:
            inner = part.value if isinstance(part, ast.FormattedValue) else part
            yield from filter(_has_words, _forms(inner))


def _has_words(text: str) -> bool:
    bare = _VALUES.sub("", text)
    return bool(_WORDS.search(bare) or _WORDS.search(bare.strip()))


def _forms(node: ast.expr) -> list[str]:
    """The texts that an expression of strings, f-strings, `+` and `if` can make; none of any other."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp(body=body, orelse=orelse):
            return [*_forms(body), *_forms(orelse)]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [before + after for before in _forms(left) for after in _forms(right)]
        case ast.JoinedStr(values=values):
            return _numbered(product(*(_part(value) for value in values)))
    return []


def _part(value: ast.expr) -> list[str]:
    if not isinstance(value, ast.FormattedValue):
        return _forms(value)
    if isinstance(value.value, ast.IfExp) and (forms := _forms(value.value)):
        return forms
    name = _name(value.value)
    return [name if name == PREFIX else f"{{{name}}}"]


def _numbered(forms: Iterable[tuple[str, ...]]) -> list[str]:
    """The forms in one piece each, in which no two values have the same name."""
    made = []
    for parts in forms:
        seen = Counter[str]()

        def name(found: re.Match[str], seen: Counter[str] = seen) -> str:
            seen[found[1]] += 1
            return f"{{{found[1]}{seen[found[1]] if seen[found[1]] > 1 else ''}}}"

        made.append(_VALUES.sub(name, "".join(parts)))
    return made


def _name(value: ast.expr) -> str:
    match value:
        case ast.Name(id="PREFIX"):
            return PREFIX
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.strip("_").lower()
    return "value"


if __name__ == "__main__":
    write()
