"""Read the students of a class from CSV files of spreadsheets and editors."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cfai_magics.classes.roster import NewStudent, parse_names, read_students
from cfai_magics.errors import InvalidOptionError
from cfai_magics.i18n import set_language

ADA, ZOE = NewStudent("Ada"), NewStudent("Zoë 李")


@pytest.fixture
def chinese() -> Iterator[None]:
    """Select Chinese messages."""
    set_language("setting", "zh-CN")
    yield
    set_language("setting", "")


def write(folder: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path = folder / "names.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


@pytest.mark.parametrize(
    "content",
    [
        "Ada\nZoë 李\n",
        "Ada\r\nZoë 李",
        "name\nAda\nZoë 李\n",
        "\ufeffName\nAda\nZoë 李\n",
        '"Name"\n"Ada"\n"Zoë 李"\n',
        "number;Student;mail\n1;Ada;a@x.example\n2;Zoë 李;z@x.example\n",
        "mail\tname\na@x.example\tAda\nz@x.example\tZoë 李\n",
        "\n\n  Ada  \n\n , \nZoe\u0308  李\n\n",
        "sep=;\nname;note\nAda;\nZoë 李;ill\n",
        "姓名,班\nAda,1\nZoë 李,2\n",
        "Ada,\nZoë 李,,\n",
    ],
)
def test_the_names_in_a_file_are_the_students(tmp_path: Path, content: str) -> None:
    assert read_students(write(tmp_path, content)) == [ADA, ZOE]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_can_have_each_unicode_encoding(tmp_path: Path, encoding: str) -> None:
    assert read_students(write(tmp_path, "name\nAda\nZoë 李\n", encoding)) == [ADA, ZOE]


def test_a_file_of_excel_has_the_encoding_of_windows(tmp_path: Path) -> None:
    path = write(tmp_path, "Name;Ort\nJürgen Müller;Köln\n", "cp1252")
    assert read_students(path) == [NewStudent("Jürgen Müller")]


@pytest.mark.usefixtures("chinese")
def test_a_file_of_a_chinese_excel_has_the_encoding_of_windows(tmp_path: Path) -> None:
    path = write(tmp_path, "姓名\n李明\n王芳\n", "gbk")
    assert read_students(path) == [NewStudent("李明"), NewStudent("王芳")]


def test_a_name_in_quotes_can_have_a_comma(tmp_path: Path) -> None:
    path = write(tmp_path, 'name,budget\n"Lovelace, Ada",500\nBob,\n')
    assert read_students(path) == [
        NewStudent("Lovelace, Ada", {"budget": 500}),
        NewStudent("Bob"),
    ]


def test_columns_are_settings_of_the_students(tmp_path: Path) -> None:
    header = "name;budget;expires;hours;models;max_tokens;requests_per_minute;mail"
    ada = "Ada;500;2027-02-01;8:00-16:30;m2m100-1.2b bge-m3;256;5;a@x.example"
    path = write(tmp_path, f"{header}\n{ada}\nBob;;;;;;;\n")
    settings = {
        "budget": 500,
        "expires": "2027-02-01T00:00:00+00:00",
        "window": {"from": "08:00", "to": "16:30"},
        "models": ["m2m100-1.2b", "bge-m3"],
        "max_tokens": 256,
        "requests_per_minute": 5,
    }
    assert read_students(path) == [NewStudent("Ada", settings), NewStudent("Bob")]


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        ("expires", "1.2.2027", "is not a date such as"),
        ("hours", "8-16", "is not a time range such as"),
        ("hours", "08:00-08:00", "is not a time range such as"),
        ("hours", "08:00-24:00", "is not a time range such as"),
        ("max_tokens", "0", "is not a number of tokens"),
        ("max_tokens", "1.5", "is not a number of tokens"),
        ("requests_per_minute", "many", "is not a number of requests"),
        ("budget", "nan", "is not a number of neurons"),
    ],
)
def test_a_setting_that_is_not_valid_is_reported_with_its_line(
    tmp_path: Path, column: str, text: str, message: str
) -> None:
    with pytest.raises(InvalidOptionError, match=f"line 2: '{text}' {message}"):
        read_students(write(tmp_path, f"name,{column}\nAda,{text}\n"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no names"),
        ("name\n\n", "has no names"),
        ("Lovelace, Ada\nByron, Anne\n", "has several columns, and none is called “name”"),
        ("Ada\nBob\nada\nBob\n", r"has 2 lines .*line 3: 'ada' is also in line 1; line 4: 'Bob'"),
        ("name,budget\n,5\nBob,many\n", r"line 2: the name is missing; line 3: 'many' is not a"),
        ("name,budget\nBob,-5\n", "line 2: '-5' is not a number of neurons"),
        (f"{'x' * 65}\n", "line 1: the name has more than 64 characters"),
        ("a/b\n", "line 1: 'a/b' has a slash"),
        ("..\n", "or only dots"),
        ("A\u202eda\n", "has an invisible character"),
        ("=1+1\n", "starts like a formula"),
        ("=1\n" * 9, "has 9 lines .*; …"),
        (b"\x81\x8d\n", "is not a list of names"),
        (b"\xff\xfe\x00", "is not a list of names"),
        ("x\n" * 600_000, "is not a list of names"),
    ],
)
def test_a_file_that_is_not_valid_raises_one_error(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    with pytest.raises(InvalidOptionError, match=message):
        read_students(write(tmp_path, content))


def test_a_file_that_does_not_exist_raises_an_error(tmp_path: Path) -> None:
    for path in (tmp_path / "names.csv", tmp_path):
        with pytest.raises(InvalidOptionError, match="There is no file"):
            read_students(path)


def test_a_typed_name_is_normalized_and_checked() -> None:
    assert parse_names(["Zoe\u0308  李"]) == [ZOE]
    for names, message in ((["a/b"], "slash"), (["Ada", " Ada "], "given twice")):
        with pytest.raises(InvalidOptionError, match=message):
            parse_names(names)
