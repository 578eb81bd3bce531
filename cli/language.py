"""The language of a command: that of --lang, else of the shell. Help is translated when it is shown."""

import copy
from typing import Any, TypeVar

import click
from click import core, decorators, exceptions, formatting, parser, shell_completion, termui, types
from click.core import ParameterSource

from shared.translations import language, texts
from shared.translations.texts import _

Some = TypeVar("Some", bound=click.Command)

_SHELL = ["LC_ALL", "LC_MESSAGES", "LANG"]  # the first that is set counts, as for every program
_YES = {"s", "sim", "y", "yes"}

# Click looks its own texts up in the language of the environment, which --lang could not change.
OF_CLICK = (core, decorators, exceptions, formatting, parser, shell_completion, termui, types)
for _module in OF_CLICK:
    for _name in {"_", "ngettext"} & vars(_module).keys():
        setattr(_module, _name, getattr(texts, _name))


def _choose(ctx: click.Context, option: click.Parameter, code: str | None) -> None:
    known = language.first_known([code])
    if known is None and ctx.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE:
        raise click.BadParameter(_("use one of {languages}", languages=", ".join(language.LANGUAGES)), ctx, option)
    language.use(known or language.ENGLISH)


lang_option = click.option(
    "--lang",
    envvar=_SHELL,
    metavar="|".join(language.LANGUAGES),
    is_eager=True,
    expose_value=False,
    callback=_choose,
    help="The language of all texts, else that of the shell (LC_ALL, LC_MESSAGES, LANG).",
)


class TranslatedGroup(click.Group):
    """A group that shows its help, and that of its commands, in the language of the reader."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Choose the shell's language first: `lethe --help`, and what is wrong with a call, are in it too."""
        for option in self.params:
            if option.name == "lang":
                _choose(ctx, option, option.resolve_envvar_value(ctx))
        self._help_option = None  # click keeps it, with the language of an earlier call in this process
        return super().parse_args(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, with its help translated."""
        command = super().get_command(ctx, cmd_name)
        return command and _in_language(command)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The help of the group itself, translated."""
        click.Group.format_help(_in_language(self), ctx, formatter)


def confirm(question: str, **how: Any) -> bool:
    """As click.confirm, which knows y and n only; in Portuguese `s` and `sim` are understood too."""
    if language.current() == language.ENGLISH:
        return click.confirm(question, **how)
    abort = how.pop("abort", False)
    answer = click.prompt(f"{question} [s/N]", default="", show_default=False, **how).strip().lower()
    if abort and answer not in _YES:
        raise click.Abort
    return answer in _YES


def _in_language(command: Some) -> Some:
    if language.current() == language.ENGLISH:
        return command
    translated = copy.copy(command)
    translated._help_option = None
    for attribute in ("help", "short_help", "epilog"):
        if text := getattr(command, attribute):
            setattr(translated, attribute, _(text))
    if isinstance(translated, click.Group):
        translated.commands = {name: _in_language(each) for name, each in translated.commands.items()}
    translated.params = [_option_in_language(option) for option in command.params]
    return translated


def _option_in_language(option: click.Parameter) -> click.Parameter:
    if not isinstance(option, click.Option) or not option.help:
        return option
    translated = copy.copy(option)
    translated.help = _(option.help)
    return translated
