"""`python -m demo`: a deployment, an instance that is erased from it, and the proof."""

import sys
from contextlib import ExitStack, suppress
from io import TextIOWrapper

import click
import requests
from rich.console import Console

from demo.binaries import BinaryMissing
from demo.interrupts import Interrupted, listen
from demo.processes import NotReady


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running until Ctrl-C.")
def main(keep: bool) -> None:
    """Erase one instance of a made-up Evolution deployment and show what happens."""
    listen()
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal that has no arrow gets a question mark, not an error.
        sys.stdout.reconfigure(errors="replace")
    sys.exit(run(Console(highlight=False), keep=keep))


def run(console: Console, *, keep: bool) -> int:
    """Tell the story and stop everything that was started, however it ends; the exit code."""
    # Loads most of what we need: only now, when a signal is heard.
    from demo.stage import forget_surroundings
    from demo.story import Failed, Story

    forget_surroundings()
    with ExitStack() as stack:
        # Between the story and the stops: a silence of seconds needs a word.
        try:
            Story(console, stack).tell(keep=keep)
        except Interrupted as error:
            _say(console, f"\nInterrupted ({error}).")
            return error.exit_code
        except (Failed, NotReady, BinaryMissing, requests.RequestException) as error:
            _say(console, f"\nThe demo failed: {error}")
            return 1
        finally:
            _say(console, "\nStopping everything.")
    return 0


def _say(console: Console, text: str) -> None:
    # The terminal may be gone; what was started has to go too.
    with suppress(OSError, SystemExit):
        console.print(text, markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
