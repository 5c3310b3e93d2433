"""Translate user-visible strings with gettext.

Pass a string to `_` where it is shown. In module-level tables, mark strings with `mark` and
translate them with `_` when they are shown, because the language can change while the kernel runs.
English is the source language, so it needs no catalog.

`make translations` updates the catalogs, and the build (`hatch_build.py`) compiles them.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from gettext import GNUTranslations

LOCALE_FOLDER = Path(__file__).parent / "locale"
DOMAIN = "cfai_magics"
LANGUAGE_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")  # the first one set is used
ENGLISH = frozenset(("en", "C", "POSIX"))
LanguageSource = Literal["setting", "front end", "environment"]


class _Active:
    """The language used in this process; `catalog` is None for English.

    `tags` maps each source to the language tag that it requests, in order of precedence.
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
    """Return the singular or plural of a message for `count`, in the user's language."""
    if _Active.catalog is None:
        return singular if count == 1 else plural
    return _Active.catalog.ngettext(singular, plural, count)


def mark(message: str) -> str:
    """Mark a message for translation and return it unchanged."""
    return message


def list_languages() -> list[str]:
    """Return the tags of all languages that have a catalog, such as "zh-CN". English has none."""
    return sorted(path.name.replace("_", "-") for path in LOCALE_FOLDER.glob("[a-z]*"))


def is_supported(tag: str) -> bool:
    """Return whether a tag refers to English or to a language that has a catalog."""
    return _split_tag(tag)[0] in ENGLISH or bool(_find_language(tag))


def set_language(source: LanguageSource, tag: str) -> str:
    """Set the language that a source requests, such as "zh-CN" or "zh_CN.UTF-8".

    Returns the language of messages, such as "zh_CN", or "" for English.

    An empty tag means that the source requests no language. The setting takes precedence over the
    front end, which takes precedence over the environment. A language without a catalog falls
    back to English.
    """
    _Active.tags[source] = tag
    name = _find_language(next((tag for tag in _Active.tags.values() if tag), ""))
    if name != _Active.language:
        _Active.catalog = _load(name) if name else None
        _Active.language = name
    return name


def get_language() -> str:
    """Return the language of messages, such as "zh_CN", or "" for English."""
    return _Active.language


def get_environment_language(environ: Mapping[str, str] = os.environ) -> str:
    """Return the language set in the environment, or "" if none is set."""
    for variable in LANGUAGE_VARIABLES:
        value = environ.get(variable, "").partition(":")[0]
        if value:
            return value
    return ""


def _split_tag(tag: str) -> tuple[str, str]:
    """Return the language and region in a tag: ("zh", "CN") for "zh-CN" and "zh_CN.UTF-8"."""
    name = tag.partition(".")[0].partition("@")[0].replace("-", "_")
    language, _separator, region = name.partition("_")
    return language, region


def _find_language(tag: str) -> str:
    """Return the catalog folder for a tag ("zh_CN" for "zh-CN" or "zh"), or "" if none exists."""
    language, region = _split_tag(tag)
    if not language or language in ENGLISH:
        return ""
    names = [name.replace("-", "_") for name in list_languages()]
    exact = f"{language.lower()}_{region.upper()}"
    if exact in names:
        return exact
    return next((name for name in names if name.partition("_")[0] == language.lower()), "")


def _load(name: str) -> "GNUTranslations | None":
    """Return the catalog in a folder, or None if the build has not compiled it."""
    from gettext import GNUTranslations

    try:
        with (LOCALE_FOLDER / name / "LC_MESSAGES" / f"{DOMAIN}.mo").open("rb") as file:
            return GNUTranslations(file)
    except OSError:
        return None


set_language("environment", get_environment_language())
