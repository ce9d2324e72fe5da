"""The command `nas` from its first moment on: Ctrl-C ends it in a line, also while it is still importing itself."""

import os
import signal  # and no more: until these are imported, and what Python imports itself, Ctrl-C is Python's own
import sys

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells expect it."""

STOPPED = "nas: stopped: finished trainings are on disk, and the same command goes on\n"


def main() -> None:
    """Runs the command line. Before it can be run there is nothing to put away, so that Ctrl-C leaves at once."""
    waiting = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else whoever started it ignores Ctrl-C
    if waiting:
        signal.signal(signal.SIGINT, _leave)  # an exception amid imports can be lost, or told with a traceback
    from nas.cli.main import main as run

    try:
        if waiting:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            run()
        except KeyboardInterrupt:
            sys.stderr.write(STOPPED)
            sys.exit(INTERRUPTED)
    except KeyboardInterrupt:
        _leave()


def _leave(*_: object) -> None:
    os.write(2, STOPPED.encode())
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
