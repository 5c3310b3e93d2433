"""Count e-mail addresses, names with grades, phone numbers and secrets in a text.

The patterns prefer to miss a name rather than to report code, measurements or versions.
"""

# ruff: noqa: RUF001, SIM905 - Chinese punctuation; lists of words are shorter as text

import re
from collections.abc import Iterator, Mapping
from typing import Literal

from .i18n import ngettext
from .secret_patterns import count_secrets

PersonalDataKind = Literal["email_addresses", "graded_names", "phone_numbers", "secrets"]

URL_PATTERN = re.compile(r"\b[a-z][a-z+]{1,9}://\S+", re.IGNORECASE)
# A domain does not start like a version, as in package@1.2.3-beta.one. It is not followed by a
# path, as in git@host.org:folder/file, and not by a call, as in a@b.dot(c). An address may follow
# an escape sequence of JSON or Python.
EMAIL_PATTERN = re.compile(
    r"(?:(?<![\w.+%@\\-])|(?<=\\[bfnrt]))[\w.+%-]{1,64}@(?!v?\d+\.\d)(?:[\w-]{1,63}\.){1,8}([a-z]{2,24})"
    r"(?![\w(\[@-]|\.\w|:[\w.~-]*/)",
    re.ASCII | re.IGNORECASE,
)
# Ends of file names and attributes of arrays, as in logo@2x.png and a@b.shape.
NO_DOMAINS = frozenset(
    "csv css dtype flat gif html imag ipynb jpeg jpg js json md ndim pdf png py real shape size "
    "svg ts txt values webp yaml yml".split()
)
# Groups of three digits only are a large number, such as +123 456 789.
PHONE_PATTERN = re.compile(
    r"(?<![\w+.])\+\d{1,3}(?!(?: \d{3})+(?!\s?\d))(?:[ /-]\(?\d{1,5}\)?){1,5}\d{0,8}(?![\w.])"
)
LABELED_PHONE_PATTERN = re.compile(
    r"(?:\b(?:tel|telefon|telephone|phone|mobile|mobil|handy)|电话|手机)(?:号码?|nummer| number)?"
    r"(?:\.?[\"']?\s?[:：=]\s?|\. )[\"']?(\+?\d[\d /()-]{5,18}\d)(?![\w.])",
    re.IGNORECASE,
)
MIN_PHONE_DIGITS = 7
MIN_INTERNATIONAL_DIGITS = 9
MAX_PHONE_DIGITS = 15

NAME_HEADERS = frozenset(
    "name names student students pupil learner full_name fullname first_name firstname last_name "
    "lastname surname student_name name_of_student vorname nachname familienname schüler "
    "schülerin schueler studierende studierender studentin teilnehmer teilnehmerin 姓名 名字 学生 "
    "学生姓名 学生名字".split()
)
GRADE_HEADER_PATTERN = re.compile(
    r"(?:^|_)(?:grades?|scores?|marks?|result|gpa|noten?|\w*note|punkte?|punktzahl|\w*punkte)"
    r"(?:_\d+)?(?:_|$)|^(?:(?:exam|test|quiz|total|final|homework|midterm|max)_)?points?(?:_\d+)?$"
    r"|成绩|分数|得分|总分|评分|绩点",
)
# Words next to names that make a number a grade.
GRADE_WORD_PATTERN = re.compile(
    r"\b(?:grades?|grading|exam|midterm|noten|notenliste|klausur|punkte)\b|成绩|考试|分数",
    re.IGNORECASE,
)
NUMBER = r"(?:\d{1,3}(?:[.,]\d{1,2})?)"
GRADE_PATTERN = re.compile(
    rf"(?P<number>{NUMBER})(?P<unit>\s?(?:/\s?\d{{1,3}}|%|points?|pts?\.?|punkte|p\.|分))?"
    r"|(?P<letter>[A-F][+-]?|pass|passed|fail|failed|(?:nicht )?bestanden|不?及格|优秀|良好)",
    re.IGNORECASE,
)
# German and Swiss grades, such as 1.7, and American grade points.
GRADE_NUMBER_PATTERN = re.compile(r"[1-5][.,][037]|[1-6][.,]5")
WORD = r"[^\W\d_][^\W\d_]*(?:['’-][^\W\d_]+)*\.?"
LATIN_NAME = rf"{WORD}(?:,? {WORD}){{0,3}}"
SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘蒋蔡余杜叶程苏魏吕丁任沈姚"
    "卢姜崔钟谭陆汪范廖石韦贾夏付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
SURNAME_PATTERN = re.compile(rf"[{SURNAMES}]")
CHINESE_NAME_PATTERN = re.compile(r"[\u4e00-\u9fff]{2,4}")
# "Ada Lovelace": 1.7 and Ada Lovelace = 1.7, at the start of a line or an item.
PAIR_PATTERN = re.compile(
    rf"(?:^|[\[{{(,;|\n])[ \t]*(?:[-*•] |\d{{1,3}}[.)] )?[\"']?(?P<name>{LATIN_NAME})[\"']?"
    r"[ \t]?[:：=][ \t]?[\"']?(?P<grade>[^\s,;:}\])\"'|][^\n,;:}\])\"'|]{0,16}(?:,\d)?)"
    r"(?=[\"']?[ \t]*(?:[,;}\])|\n]|$))"
)
# The same with another separator, alone on a line.
ROW_PATTERN = re.compile(
    rf"^[ \t]*(?:[-*•] |\d{{1,3}}[.)]? )?[ \t]*(?P<name>{LATIN_NAME})(?:[ \t]*[,;\t|][ \t]*|"
    r"[ ]{2,}| [-–—] ?| \((?=[^)\n]*\)$)|(?<=[\u4e00-\u9fff]) )(?P<grade>[^\n]{1,16}?)\)?[ \t]*$",
    re.MULTILINE,
)
# ("Ada Lovelace", 1.7), an item of a list of Python or JSON.
TUPLE_PATTERN = re.compile(
    rf"[(\[]\s?[\"'](?P<name>{LATIN_NAME})[\"'],\s?[\"']?(?P<grade>[^\s\"',)\]]{{1,16}})[\"']?\s?[)\]]"
)
# Name: Ada Lovelace, Grade: 1.7 on one line or on two.
RECORD_PATTERN = re.compile(
    rf"\b(?P<name_key>[^\W\d]\w{{1,20}})[ \t]?[:：=][ \t]?(?P<name>{LATIN_NAME})[ \t]*[,;，；|\n]"
    r"[ \t]*(?P<grade_key>[^\W\d]\w{0,20})[ \t]?[:：=][ \t]?(?P<grade>[^\s;，；|]{1,16})"
)
PARTICLES = frozenset("von van de der den del da di du la le bin ibn al el zu zur ter".split())
# Words of labels of measurements and of versions, which are written like names.
NO_NAME_WORDS = frozenset(
    """
    monday tuesday wednesday thursday friday saturday sunday january february march april may june
    july august september october november december true false none nan nat null inf
    accuracy age amount angle answer area average band base batch bias bit block boiling budget
    cell chapter charge class code column cost count course data date day default degree delta
    density depth distance dose duration edge energy epoch equation error exam example exercise
    factor figure file final flow force frequency function gain grade grades group half head height
    hidden hour hours id index input item key label language layer learning length level life
    limit line linear list loss mass max maximum mean median melting memory midterm min minimum
    minute mode model molar month name new node note number order output page pairs parameter part
    part peak percent period phase point points power pressure price problem product python quality
    question quiz radius random range rank rate ratio reading relative result results root row rule
    run sample scale score scores section seed series server set shape signal size solution space
    specific speed standard state step student studio students sum table task temperature term test
    threshold time title total train training type unit units value variance vector version
    visual voltage volume wave weight weights width window windows word year zero
    abstand alter anzahl aufgabe beispiel dauer dichte durchschnitt fehler fläche frage gesamt
    geschwindigkeit gewicht größe höhe kapitel klasse klausur kraft länge leistung mittelwert
    nummer punkte seite spannung summe tabelle temperatur umfang volumen wert winkel zahl zeit
    bayes boosting classifier decision forest gradient machine naive nearest neighbor neighbors
    network neural regressor support tree trees
    acid carbon chloride copper gold hydrogen iron lead magnesium nitrogen oxide oxygen potassium
    silver sodium sulfate sulfur water zinc
    """.split()
)
# Words above that are also first names, and so part of a full name next to a grade.
FIRST_NAMES = frozenset(("april", "august", "june", "max", "may"))
CAMEL_CASE_PATTERN = re.compile(r"(?<!\bMc)(?<!\bMac)(?<=[a-z])[A-Z]")
MAX_POINTS = 200
MIN_TABLE_COLUMNS = 2
MIN_NAME_CHARS = 3
MIN_SINGLE_NAMES = 2  # one first name next to a number is a coincidence
SEPARATOR_PATTERNS = tuple(map(re.compile, (r"\|", ";", "\t", ",(?! )", " {2,}")))
RULE_PATTERN = re.compile(r"[\s|:+=-]*")
OBJECT_PATTERN = re.compile(r"\{([^{}]{1,4000})\}")
ENTRY_PATTERN = re.compile(
    r"[\"'](?P<key>[^\"'\n]{1,40})[\"']\s*:\s*"
    r"(?:\[(?P<list>[^\[\]]*)\]|\"(?P<double>[^\"\n]*)\"|'(?P<single>[^'\n]*)'"
    r"|(?P<bare>[^\s,{}\[\]\"']+))"
)
QUOTED_PATTERN = re.compile(r"\"([^\"\n]*)\"|'([^'\n]*)'")


def find_personal_data(text: str, label: str = "") -> Mapping[PersonalDataKind, int]:
    """Return the number of different e-mail addresses, graded names, phone numbers and secrets.

    Args:
        text: The text to search.
        label: The name of the text, such as an expression. It may say that numbers are grades.

    Returns:
        The count of each kind that was found. The mapping is empty if nothing was found.
    """
    text_without_urls = URL_PATTERN.sub(" ", text)
    counts: dict[PersonalDataKind, int] = {
        "email_addresses": len(set(_iter_email_addresses(text_without_urls))),
        "graded_names": len(_find_graded_names(text_without_urls, label)),
        "phone_numbers": len(set(_iter_phone_numbers(text_without_urls))),
        "secrets": count_secrets(text),
    }
    return {kind: count for kind, count in counts.items() if count}


def format_personal_data(counts: Mapping[PersonalDataKind, int]) -> str:
    """Return the counts as text, such as "2 e-mail addresses, 1 secret"."""
    texts = {
        "email_addresses": lambda count: ngettext(
            "{count} e-mail address", "{count} e-mail addresses", count
        ),
        "graded_names": lambda count: ngettext(
            "{count} name with a grade", "{count} names with grades", count
        ),
        "phone_numbers": lambda count: ngettext(
            "{count} phone number", "{count} phone numbers", count
        ),
        "secrets": lambda count: ngettext("{count} secret", "{count} secrets", count),
    }
    return ", ".join(texts[kind](count).format(count=count) for kind, count in counts.items())


def _iter_email_addresses(text: str) -> Iterator[str]:
    if "@" not in text:
        return
    for match in EMAIL_PATTERN.finditer(text):
        if match[1].lower() not in NO_DOMAINS:
            yield match[0].lower()


def _iter_phone_numbers(text: str) -> Iterator[str]:
    for match in PHONE_PATTERN.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if MIN_INTERNATIONAL_DIGITS <= len(digits) <= MAX_PHONE_DIGITS:
            yield digits
    for match in LABELED_PHONE_PATTERN.finditer(text):
        digits = re.sub(r"\D", "", match[1])
        if MIN_PHONE_DIGITS <= len(digits) <= MAX_PHONE_DIGITS:
            yield digits


def _find_graded_names(text: str, label: str) -> set[str]:
    """Return the names with a grade in tables, objects of JSON, records, pairs and lines."""
    words = label.replace("_", " ")
    has_grade_word = bool(GRADE_WORD_PATTERN.search(f"{words} {text}"))
    names = {*_iter_table_names(text), *_iter_object_names(text), *_iter_record_names(text)}
    single_names = set()
    for pattern in (PAIR_PATTERN, ROW_PATTERN, TUPLE_PATTERN):
        for match in pattern.finditer(text):
            name = match["name"]
            if not _is_grade(match["grade"], needs_format=not has_grade_word):
                continue
            if _is_full_name(name, is_graded=has_grade_word):
                names.add(name)
            elif has_grade_word or match["grade"].endswith("分"):
                is_chinese = CHINESE_NAME_PATTERN.fullmatch(name)
                if SURNAME_PATTERN.match(name) if is_chinese else _is_name(name):
                    single_names.add(name)
    return names | single_names if len(single_names) >= MIN_SINGLE_NAMES else names


def _iter_table_names(text: str) -> Iterator[str]:
    """Yield the names in tables with a header: Markdown, CSV, or columns of spaces.

    Columns are counted from the right, because an index on the left may have no header.
    """
    columns: tuple[re.Pattern[str], list[int], list[int]] | None = None
    for line in text.splitlines():
        if RULE_PATTERN.fullmatch(line) and line.strip():
            continue
        columns = _find_columns(line) or (columns if line.strip() else None)
        if columns is None:
            continue
        separator, name_columns, grade_columns = columns
        cells = _split_row(line, separator)
        if min(name_columns + grade_columns) < -len(cells):
            continue
        name = " ".join(cells[column] for column in name_columns)
        if _is_name(name, is_graded=True) and any(
            _is_grade(cells[column]) for column in grade_columns
        ):
            yield name


def _find_columns(line: str) -> tuple[re.Pattern[str], list[int], list[int]] | None:
    """Return the separator, name columns and grade columns of a header, or None."""
    for separator in SEPARATOR_PATTERNS:
        headers = _split_row(line, separator)
        if len(headers) >= MIN_TABLE_COLUMNS:
            names = [i - len(headers) for i, cell in enumerate(headers) if _is_name_header(cell)]
            grades = [i - len(headers) for i, cell in enumerate(headers) if _is_grade_header(cell)]
            if names and grades:
                return separator, names, grades
    return None


def _split_row(line: str, separator: re.Pattern[str]) -> list[str]:
    return [cell.strip(" \"'") for cell in separator.split(line.strip().strip("|"))]


def _normalize_header(header: str) -> str:
    return re.sub(r"[\s.:()-]+", "_", header.strip().lower()).strip("_")


def _is_name_header(header: str) -> bool:
    return _normalize_header(header) in NAME_HEADERS


def _is_grade_header(header: str) -> bool:
    return bool(GRADE_HEADER_PATTERN.search(_normalize_header(header)))


def _iter_object_names(text: str) -> Iterator[str]:
    """Yield the names in JSON objects and dicts with a name key and a grade key."""
    for match in OBJECT_PATTERN.finditer(text):
        entries = {entry["key"]: entry for entry in ENTRY_PATTERN.finditer(match[1])}
        grades = [entry for key, entry in entries.items() if _is_grade_header(key)]
        names = [entry for key, entry in entries.items() if _is_name_header(key)]
        if not grades or not names:
            continue
        if any(entry["list"] is None and _is_grade(_get_value(entry)) for entry in grades):
            name = " ".join(map(_get_value, names))
            if _is_name(name, is_graded=True):
                yield name
        elif any(entry["list"] for entry in grades):
            for quoted in QUOTED_PATTERN.finditer(names[0]["list"] or ""):
                name = quoted[1] or quoted[2] or ""
                if _is_name(name, is_graded=True):
                    yield name


def _iter_record_names(text: str) -> Iterator[str]:
    """Yield the names in records with a name key and then a grade key."""
    for match in RECORD_PATTERN.finditer(text):
        if (
            _is_name_header(match["name_key"])
            and _is_grade_header(match["grade_key"])
            and _is_grade(match["grade"].rstrip(","))
            and _is_name(match["name"], is_graded=True)
        ):
            yield match["name"]


def _get_value(entry: re.Match[str]) -> str:
    return entry["double"] or entry["single"] or entry["bare"] or ""


def _is_name(text: str, *, is_graded: bool = False) -> bool:
    """Return whether the text may be a name, which can be a first name only.

    If `is_graded` is true, other words say that the number next to it is a grade.
    """
    if CHINESE_NAME_PATTERN.fullmatch(text):
        return True
    if not re.fullmatch(LATIN_NAME, text):
        return False
    words = [word.strip(",") for word in text.split() if word not in PARTICLES]
    if is_graded and len(words) > 1 and words[0].lower() in FIRST_NAMES and words[0].istitle():
        del words[0]
    is_long = sum(map(len, words)) >= MIN_NAME_CHARS and any(len(word) > 1 for word in words)
    return is_long and all(map(_is_name_word, words))


def _is_name_word(word: str) -> bool:
    is_initial = len(word.rstrip(".")) == 1
    return (
        word[0].isupper()
        and (is_initial or not word.isupper())
        and not CAMEL_CASE_PATTERN.search(word)
        and word.lower() not in NO_NAME_WORDS
        and not word.endswith("tion")
    )


def _is_full_name(text: str, *, is_graded: bool) -> bool:
    words = [word for word in text.split() if word not in PARTICLES]
    return len(words) > 1 and _is_name(text, is_graded=is_graded)


def _is_grade(text: str, *, needs_format: bool = False) -> bool:
    """Return whether the text is a grade.

    If `needs_format` is true, a number must be written like a grade, or have a unit.
    """
    match = GRADE_PATTERN.fullmatch(text.strip().rstrip("."))
    if match is None:
        return False
    if match["letter"]:
        return True
    if needs_format and not match["unit"]:
        return bool(GRADE_NUMBER_PATTERN.fullmatch(match["number"]))
    number = float(match["number"].replace(",", "."))
    return number == 0 or 1 <= number <= MAX_POINTS
