"""Starts `lethe` and `python -m cli`; Ctrl-C during the imports prints no traceback."""

import signal


def run() -> None:
    """Import the commands, then run the one that was given."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing to clean up yet
    from cli.main import main  # after the line above

    signal.signal(signal.SIGINT, signal.default_int_handler)
    main(prog_name="lethe")


if __name__ == "__main__":
    run()
