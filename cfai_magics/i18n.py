"""Translate the strings that users see, with gettext.

Mark a string with `_` where it is shown. Text of module-level tables is marked with `mark` and
translated with `_` when it is shown, because the language can change while the kernel runs.
English is the language of the source: it loads no catalog.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gettext import GNUTranslations

LOCALE_FOLDER = Path(__file__).parent / "locale"
DOMAIN = "cfai_magics"
LANGUAGE_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set counts


class _Active:
    """The language of this process; its catalog is None for English."""

    language = ""
    catalog: "GNUTranslations | None" = None


def _(message: str) -> str:
    """Return the message in the user's language."""
    return message if _Active.catalog is None else _Active.catalog.gettext(message)


def ngettext(singular: str, plural: str, count: int) -> str:
    """Return the form of a message for a count in the user's language."""
    if _Active.catalog is None:
        return singular if count == 1 else plural
    return _Active.catalog.ngettext(singular, plural, count)


def mark(message: str) -> str:
    """Return the message unchanged: `_` translates it when it is shown."""
    return message


def set_language(*tags: str) -> str:
    """Use the first language that is given, such as "zh-CN" or "zh_CN.UTF-8"; return its tag.

    A language without a catalog is English, whose tag is "".
    """
    tag = next((tag for tag in tags if tag), "")
    name = _find_catalog(tag)
    if name != _Active.language:
        _Active.catalog = _load(name) if name else None
        _Active.language = name
    return name


def get_environment_language(environ: Mapping[str, str] = os.environ) -> str:
    """Return the language of the environment; "" if none is set."""
    for variable in LANGUAGE_VARIABLES:
        value = environ.get(variable, "").partition(":")[0]
        if value:
            return value
    return ""


def _find_catalog(tag: str) -> str:
    """Return the name of the catalog folder of a language tag: "zh_CN" for "zh-CN" and "zh"."""
    name = tag.partition(".")[0].partition("@")[0].replace("-", "_")
    language, _separator, region = name.partition("_")
    if not language or language in {"en", "C", "POSIX"}:
        return ""
    names = sorted(path.parent.parent.name for path in LOCALE_FOLDER.glob(f"*/*/{DOMAIN}.mo"))
    exact = f"{language.lower()}_{region.upper()}"
    if exact in names:
        return exact
    return next((each for each in names if each.partition("_")[0] == language.lower()), "")


def _load(name: str) -> "GNUTranslations":
    from gettext import GNUTranslations

    with (LOCALE_FOLDER / name / "LC_MESSAGES" / f"{DOMAIN}.mo").open("rb") as file:
        return GNUTranslations(file)
