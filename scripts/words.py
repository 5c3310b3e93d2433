"""Find words that the project's style avoids (`python -m scripts.words`).

`make check` runs this script. CONTRIBUTING.md explains the style. ALLOWED lists the exceptions and
the reasons for them.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORDS = re.compile(
    r"\b(told|nobody|whoever|wherever|befall|reckon(s|ed)?|anew|dearer|at the most|had arrived)\b",
    re.IGNORECASE,
)
FILES = ("*.py", "*.ts", "*.tsx", "*.md", "*.ipynb", "*.po", "*.json")
ALLOWED = {
    # this list
    ("scripts/words.py", ""),
    # names stored on disk, which must not change
    ("cfai_magics/prompt/serialize.py", '"reported_at": "told"'),
    ("cfai_magics/storage/ledger.py", "SELECT neurons, told FROM account_figures"),
    ("cfai_magics/storage/ledger.py", 'figure_row["told"]'),
    ("cfai_magics/storage/ledger_schema.py", "told REAL NOT NULL"),
}


def find_words() -> list[str]:
    """Return the lines that contain a word to avoid, as "path:line: text"."""
    listing = subprocess.run(  # noqa: S603 - a constant command
        ["git", "ls-files", "--", *FILES],  # noqa: S607 - git is on PATH
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = []
    for name in listing.stdout.splitlines():
        text = (ROOT / name).read_text(encoding="utf-8")
        for number, line in enumerate(text.splitlines(), 1):
            if WORDS.search(line) and not _is_allowed(name, line):
                found.append(f"{name}:{number}: {line.strip()}")
    return found


def _is_allowed(name: str, line: str) -> bool:
    return any(name == path and text in line for path, text in ALLOWED)


def main() -> int:
    """Print the lines found. Return 1 if there are any; otherwise, return 0."""
    found = find_words()
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
