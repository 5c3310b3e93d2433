"""Run the stand-in from a terminal: `python -m tests.standin`."""

import argparse
import contextlib
import sys
import threading

from .server import Standin


def main() -> None:
    """Serve until Ctrl-C; print the environment variables for clients."""
    parser = argparse.ArgumentParser(prog="python -m tests.standin", description=main.__doc__)
    parser.add_argument(
        "--port", type=int, default=0, help="port to listen on (default: a free port)"
    )
    parser.add_argument(
        "--plan", choices=("free", "paid"), default="free", help="plan of the account"
    )
    options = parser.parse_args()
    with Standin(plan=options.plan, port=options.port) as standin:
        for name, value in standin.environ().items():
            sys.stdout.write(f"export {name}={value}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
