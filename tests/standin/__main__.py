"""Runs the stand-in for humans and other processes: `python -m tests.standin`."""

import argparse
import contextlib
import sys
import threading

from .server import Standin


def main() -> None:
    """Serve until Ctrl-C, and say how to get here."""
    parser = argparse.ArgumentParser(prog="python -m tests.standin", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    parser.add_argument("--plan", choices=("free", "paid"), default="free")
    options = parser.parse_args()
    with Standin(plan=options.plan, port=options.port) as standin:
        for name, value in standin.environ().items():
            sys.stdout.write(f"export {name}={value}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
