"""Translate the strings that users see, with gettext.

Mark a string with `_` where it is shown. Text of module-level tables is marked with `mark` and
translated with `_` when it is shown, because the language can change while the kernel runs.
English is the language of the source: it loads no catalog.

The build compiles the catalogs (`hatch_build.py`); `make translations` updates them.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from gettext import GNUTranslations

LOCALE_FOLDER = Path(__file__).parent / "locale"
DOMAIN = "cfai_magics"
LANGUAGE_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set counts
ENGLISH = frozenset(("en", "C", "POSIX"))
LanguageSource = Literal["setting", "front end", "environment"]


class _Active:
    """The language of this process; `catalog` is None for English.

    `tags` has the language tag of each source, in the order of their precedence.
    """

    tags: dict[LanguageSource, str] = {  # noqa: RUF012 - one object per process
        "setting": "",
        "front end": "",
        "environment": "",
    }
    language = ""
    catalog: "GNUTranslations | None" = None


def _(message: str) -> str:
    """Return the message in the user's language."""
    if _Active.catalog is None or not message:  # gettext returns the header for an empty string
        return message
    return _Active.catalog.gettext(message)


def ngettext(singular: str, plural: str, count: int) -> str:
    """Return the form of a message for a count in the user's language."""
    if _Active.catalog is None:
        return singular if count == 1 else plural
    return _Active.catalog.ngettext(singular, plural, count)


def mark(message: str) -> str:
    """Return the message unchanged: `_` translates it when it is shown."""
    return message


def get_language() -> str:
    """Return the language of the messages, such as "zh_CN"; "" for English."""
    return _Active.language


def list_languages() -> list[str]:
    """Return the tags of the languages with a catalog, such as "zh-CN", without English."""
    return sorted(path.name.replace("_", "-") for path in LOCALE_FOLDER.glob("[a-z]*"))


def is_supported(tag: str) -> bool:
    """Return whether a language tag is English or that of a language with a catalog."""
    return _split_tag(tag)[0] in ENGLISH or bool(_find_language(tag))


def set_language(source: LanguageSource, tag: str) -> None:
    """Set the language that a source asks for, such as "zh-CN" or "zh_CN.UTF-8"; "" for none.

    The setting takes precedence over the front end, and the front end over the environment. A
    language without a catalog counts as English.
    """
    _Active.tags[source] = tag
    name = _find_language(next((tag for tag in _Active.tags.values() if tag), ""))
    if name != _Active.language:
        _Active.catalog = _load(name) if name else None
        _Active.language = name


def get_environment_language(environ: Mapping[str, str] = os.environ) -> str:
    """Return the language of the environment; "" if none is set."""
    for variable in LANGUAGE_VARIABLES:
        value = environ.get(variable, "").partition(":")[0]
        if value:
            return value
    return ""


def _split_tag(tag: str) -> tuple[str, str]:
    """Return language and region of a tag: ("zh", "CN") for "zh-CN" and "zh_CN.UTF-8"."""
    name = tag.partition(".")[0].partition("@")[0].replace("-", "_")
    language, _separator, region = name.partition("_")
    return language, region


def _find_language(tag: str) -> str:
    """Return the name of the folder of a language tag: "zh_CN" for "zh-CN" and "zh"."""
    language, region = _split_tag(tag)
    if not language or language in ENGLISH:
        return ""
    names = [name.replace("-", "_") for name in list_languages()]
    exact = f"{language.lower()}_{region.upper()}"
    if exact in names:
        return exact
    return next((name for name in names if name.partition("_")[0] == language.lower()), "")


def _load(name: str) -> "GNUTranslations | None":
    """Return the catalog of a language; None if the build has not compiled it."""
    from gettext import GNUTranslations

    try:
        with (LOCALE_FOLDER / name / "LC_MESSAGES" / f"{DOMAIN}.mo").open("rb") as file:
            return GNUTranslations(file)
    except OSError:
        return None


set_language("environment", get_environment_language())
