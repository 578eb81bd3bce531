"""Starts `lethe` and `python -m cli`; Ctrl-C before a command begins prints nothing."""

import signal


def run() -> None:
    """Import the commands, then run the one that was given."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing to clean up yet; a command takes Ctrl-C itself
    from cli.main import main  # after the line above

    main(prog_name="lethe")


if __name__ == "__main__":
    run()
