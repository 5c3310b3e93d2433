"""Messages are in the language of the setting, the front end or the environment."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message

from cfai_magics import i18n
from cfai_magics.errors import NotRecordedError
from cfai_magics.i18n import LanguageSource, _, ngettext, set_language
from cfai_magics.settings import Cfai, InvalidSettingError
from scripts.translations import extract_messages, find_catalogs, read_catalog

PLACEHOLDER = re.compile(r"\{[^{}…]*\}")
CODE = re.compile(r"%{1,2}cfai|--[a-z][a-z-]*|\b[A-Z]+_[A-Z_]+\b|[\w.]+\.(?:toml|json|md|ipynb)\b")
HALF_WIDTH = re.compile(r"[\u4e00-\u9fff][,;:!?]|[,;!?][\u4e00-\u9fff]")
CATALOGS = find_catalogs()
PACKAGE_FOLDER = Path(i18n.__file__).parent


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    set_language("environment", "")
    yield
    sources: tuple[LanguageSource, ...] = ("setting", "front end", "environment")
    for source in sources:
        set_language(source, "")


def ids(message: Message) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else tuple(message.id)


def strings(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string)


def entries(catalog: Catalog) -> list[Message]:
    return [message for message in catalog if message.id]


@pytest.fixture(params=CATALOGS, ids=lambda path: path.parts[-3])
def catalog(request: pytest.FixtureRequest) -> Catalog:
    return read_catalog(request.param)


# --- the language


@pytest.mark.parametrize(
    ("setting", "front_end", "environment", "expected"),
    [
        ("", "", "", ""),
        ("zh-CN", "", "", "zh_CN"),
        ("zh", "", "", "zh_CN"),
        ("", "zh_CN", "", "zh_CN"),
        ("", "", "zh_CN.UTF-8", "zh_CN"),
        ("", "", "zh_TW", "zh_CN"),
        ("en", "zh_CN", "zh_CN.UTF-8", ""),
        ("", "en", "zh_CN.UTF-8", ""),
        ("", "", "C.UTF-8", ""),
        ("", "", "fr_FR.UTF-8", ""),
        ("", "../../etc", "", ""),
    ],
)
def test_setting_precedes_front_end_and_environment(
    setting: str, front_end: str, environment: str, expected: str
) -> None:
    set_language("setting", setting)
    set_language("front end", front_end)
    assert set_language("environment", environment) == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ""),
        ({"LANG": "zh_CN.UTF-8"}, "zh_CN.UTF-8"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "C"),
        ({"LANG": "C", "LANGUAGE": "zh_CN:en"}, "zh_CN"),
    ],
)
def test_environment_names_the_language(environ: dict[str, str], expected: str) -> None:
    assert i18n.get_environment_language(environ) == expected


def test_messages_are_translated() -> None:
    set_language("setting", "zh-CN")
    assert _("No problems found.") != "No problems found."
    assert ngettext("{count} answer", "{count} answers", 1) == ngettext(
        "{count} answer", "{count} answers", 2
    )
    assert _("") == ""
    assert _("a text without a translation") == "a text without a translation"
    set_language("setting", "")
    assert _("No problems found.") == "No problems found."


def test_the_language_setting_applies_at_once() -> None:
    settings = Cfai()
    settings.language = "zh-CN"
    assert _("No problems found.") == "未发现问题。"
    with pytest.raises(InvalidSettingError, match=r"fr.*en, zh-CN"):
        settings.language = "fr"
    assert _("No problems found.") == "未发现问题。"
    settings.language = "en"
    assert _("No problems found.") == "No problems found."


def test_default_hints_are_translated_when_the_error_is_raised() -> None:
    english_hint = NotRecordedError("cause").hint
    set_language("setting", "zh-CN")
    chinese_hint = NotRecordedError("cause").hint
    assert english_hint == NotRecordedError.default_hint
    assert "%cfai replay auto" in chinese_hint
    assert chinese_hint != english_hint


def test_english_loads_no_catalog() -> None:
    script = (
        "import sys, cfai_magics.i18n as i18n; i18n._('None'); i18n.ngettext('a', 'b', 2);"
        "print('gettext' in sys.modules, 'locale' in sys.modules, i18n._Active.catalog)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        cwd=Path(__file__).parents[1],
        env={"LANG": "en_US.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[2] == "None"
    assert done.stdout.split()[0] == "False"


# --- the catalogs


def test_each_marked_string_is_translated_and_none_is_unused(catalog: Catalog) -> None:
    used = {ids(message) for message in entries(extract_messages())}
    translated = {ids(message) for message in entries(catalog) if all(strings(message))}
    assert used - translated == set(), "run `make translations` and translate these"
    assert {ids(message) for message in entries(catalog)} - used == set(), (
        "run `make translations`, which removes these"
    )
    assert not catalog.obsolete
    assert [message.id for message in entries(catalog) if message.fuzzy] == []


def test_translations_have_the_placeholders_of_the_message(catalog: Catalog) -> None:
    wrong = [
        (text, string)
        for message in entries(catalog)
        for text, string in zip(ids(message)[-1:], strings(message)[-1:], strict=True)
        if sorted(PLACEHOLDER.findall(text)) != sorted(PLACEHOLDER.findall(string))
    ]
    assert wrong == []


def test_translations_keep_commands_options_and_names(catalog: Catalog) -> None:
    wrong = [
        (text, string)
        for message in entries(catalog)
        for text, string in zip(ids(message)[-1:], strings(message)[-1:], strict=True)
        if sorted(CODE.findall(text)) != sorted(CODE.findall(string))
    ]
    assert wrong == []


def test_chinese_punctuation_is_full_width(catalog: Catalog) -> None:
    wrong = [
        string
        for message in entries(catalog)
        for string in strings(message)
        if HALF_WIDTH.search(string)
    ]
    assert wrong == []


def test_marked_strings_are_literals_that_the_extraction_finds() -> None:
    found = {text for message in entries(extract_messages()) for text in ids(message)}
    missing = []
    for path in sorted(PACKAGE_FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                texts = node.args[: {"_": 1, "mark": 1, "ngettext": 2}.get(node.func.id, 0)]
                constants = [text.value for text in texts if isinstance(text, ast.Constant)]
                missing += [(path.name, text) for text in constants if text and text not in found]
                missing += [
                    (path.name, ast.unparse(text))
                    for text in texts
                    if isinstance(text, ast.JoinedStr)
                ]
    assert missing == []


def test_texts_that_code_replaces_in_messages_are_equal_in_translations(catalog: Catalog) -> None:
    translations = {ids(message)[0]: strings(message)[0] for message in entries(catalog)}
    parts = ("Nothing was sent", "(in a shell: cfai login)", "The partial answer is in _cfai.")
    wrong = [
        (text, string)
        for part in parts
        for text, string in translations.items()
        if part in text and translations[part] not in string
    ]
    assert wrong == []
