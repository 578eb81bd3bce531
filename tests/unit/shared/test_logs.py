"""What a log line says of an error."""

import json
import logging
from collections.abc import Callable, Iterator

import pytest

from shared import logs
from shared.errors import Unreachable
from shared.settings import Settings

NUMBER = "5511987650001"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Logs of the tests after this one go where they went."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def fail(name: str) -> None:
    """As a driver does: the cause repeats what it was given."""
    try:
        raise KeyError(f"no such thing as {name}")
    except KeyError as error:
        raise Unreachable("the bucket", "KeyError") from error


@pytest.mark.parametrize("library", [False, True], ids=["ours", "a library's"])
def test_a_traceback_repeats_no_value(
    make_settings: Callable[..., Settings], capsys: pytest.CaptureFixture[str], library: bool
) -> None:
    """Frames, kinds and our own sentences; a driver's message may name a customer."""
    logs.configure(make_settings())
    try:
        fail(NUMBER)
    except Unreachable as error:
        if library:
            logging.getLogger("library").exception("it failed")
        else:
            logs.get("ours").error("it failed", exc_info=error)

    line = json.loads(capsys.readouterr().err.splitlines()[-1])

    assert line["event"] == "it failed"
    assert "shared.errors.Unreachable: the bucket cannot be reached: KeyError" in line["exception"]
    assert "caused by" in line["exception"]
    assert "builtins.KeyError" in line["exception"]
    assert NUMBER not in json.dumps(line)


@pytest.mark.parametrize("library", [False, True], ids=["ours", "a library's"])
@pytest.mark.parametrize("form", ["json", "pretty"])
@pytest.mark.parametrize("control", ["\n", "\r", "\x1b[2J", "\x00", "\x7f", "\x9b2J", "\u2028", "\x85"], ids=ascii)
def test_what_is_logged_stays_one_line(
    make_settings: Callable[..., Settings], capsys: pytest.CaptureFixture[str], control: str, form: str, library: bool
) -> None:
    """Control characters make no second line, and do not reach the reader's terminal."""
    logs.configure(make_settings(log_format=form))
    if library:
        logging.getLogger("library").warning("got %s", f"a{control}forged")
    else:
        logs.get("ours").warning("got", what=f"a{control}forged")

    written = capsys.readouterr().err

    assert "forged" in written
    assert len(written.splitlines()) == 1
    assert control[0] not in written.removesuffix("\n")


def test_a_traceback_is_still_one_to_read(
    make_settings: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """Line by line, in pretty text."""
    logs.configure(make_settings(log_format="pretty"))
    try:
        fail(NUMBER)
    except Unreachable as error:
        logs.get("ours").error("it failed", exc_info=error)

    assert "\ncaused by:\n" in capsys.readouterr().err


def test_the_driver_does_not_tell_again_of_what_it_has_raised(
    make_settings: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipeline that an error ended is no line of its own; what it cannot raise is."""
    logs.configure(make_settings())
    logging.getLogger("psycopg").warning("error ignored terminating a pipeline")
    logging.getLogger("psycopg").error("error ignored in a destructor")

    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == [
        "error ignored in a destructor"
    ]
