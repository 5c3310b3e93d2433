"""Update the translation catalogs of the Python package (`make translations`).

The script extracts the strings marked with `_`, `ngettext` and `mark`, merges them into each `.po`
file, and compiles the `.mo` files. It removes unused entries and adds new entries without a
translation. The strings of the JupyterLab extension are in `cfai_magics.json`.
"""

import sys
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from hatch_build import compile_catalog

ROOT = Path(__file__).parents[1]
PACKAGE = "cfai_magics"
LOCALE_FOLDER = ROOT / PACKAGE / "locale"
KEYWORDS = {"_": None, "mark": None, "ngettext": (1, 2)}
LINE_WIDTH = 100
HEADER = "# Messages of cfai-magics. `make translations` updates this file."


def extract_messages() -> Catalog:
    """Return a template catalog with all marked strings and the files that use them."""
    template = Catalog(project="cfai-magics", charset="utf-8")
    package = ROOT / PACKAGE
    for name, _line, message, _comments, _context in extract_from_dir(package, keywords=KEYWORDS):
        template.add(message, locations=[(f"{PACKAGE}/{Path(name).as_posix()}", 0)])
    return template


def read_catalog(path: Path) -> Catalog:
    """Read a `.po` file and return its catalog."""
    with path.open("rb") as file:
        return read_po(file, locale=path.parts[-3])


def is_translated(message: Message) -> bool:
    """Return whether all forms of a message have a translation."""
    return all(message.string) if isinstance(message.string, tuple) else bool(message.string)


def find_catalogs() -> list[Path]:
    """Return the paths of all `.po` files."""
    return sorted(LOCALE_FOLDER.glob(f"*/LC_MESSAGES/{PACKAGE}.po"))


def update_catalog(path: Path, template: Catalog) -> Catalog:
    """Merge the template into a `.po` file, and return the updated catalog."""
    catalog = read_catalog(path)
    catalog.update(template, no_fuzzy_matching=True)
    catalog.creation_date = catalog.revision_date  # so only changed messages change the file
    catalog.last_translator = catalog.language_team = "The cfai-magics contributors"
    catalog.msgid_bugs_address = ""
    catalog.fuzzy = False
    catalog.obsolete.clear()
    catalog.header_comment = HEADER
    for message in catalog:
        message.flags.discard("python-format")  # %cfai is a command, not a placeholder
    with path.open("wb") as file:
        write_po(
            file,
            catalog,
            width=LINE_WIDTH,
            omit_header=False,
            sort_output=True,
            include_lineno=False,
        )
    return catalog


def main() -> None:
    """Update and compile all catalogs, and print the number of missing translations."""
    template = extract_messages()
    for path in find_catalogs():
        catalog = update_catalog(path, template)
        compile_catalog(path)
        missing = [message for message in catalog if not is_translated(message)]
        sys.stdout.write(
            f"{path.relative_to(ROOT)}: {len(catalog)} messages, {len(missing)} not translated\n"
        )


if __name__ == "__main__":
    main()
