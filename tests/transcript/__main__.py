"""Record the transcripts: `python -m tests.transcript --write [kernel] [terminal] …`."""

import argparse
import signal
import sys
from pathlib import Path

from .session import GOLDEN, SESSIONS, count, records


def main() -> None:
    """Record the named sessions, or all, into the golden files or another folder."""
    parser = argparse.ArgumentParser(prog="python -m tests.transcript", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SESSIONS))
    parser.add_argument("--write", action="store_true", help="replace the golden files")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="write into this folder")
    options = parser.parse_args()
    folder = GOLDEN if options.write else options.to
    if folder is None:
        parser.error("--write or --to FOLDER is required")
    folder.mkdir(exist_ok=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as in tests/conftest.py
    for name, text in records(options.names or SESSIONS).items():
        path = folder / f"{name}.txt"
        same = path.exists() and path.read_text(encoding="utf-8") == text
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path}: {'the same' if same else 'new'}, {count(name)} steps\n")


if __name__ == "__main__":
    main()
