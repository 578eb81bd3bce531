"""`lethe`, and `python -m cli`: loads the commands so that a Ctrl-C during it is no traceback."""

import signal


def run() -> None:
    """Load what can be typed, then do what was asked for."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing has begun: just end
    from cli.main import main  # only now, when a Ctrl-C during it is no traceback

    signal.signal(signal.SIGINT, signal.default_int_handler)
    main(prog_name="lethe")


if __name__ == "__main__":
    run()
