"""Values of `{{…}}` with apparent personal data are sent only after a warning."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import cfai_magics
from cfai_magics.chat.sent_values import check_values
from cfai_magics.course import read_course
from cfai_magics.errors import PersonalDataError
from cfai_magics.session.session import Session
from cfai_magics.settings import load_settings
from tests.canaries import token
from tests.kernels import Kernel
from tests.standin import Standin

STUDENTS = """
import pandas as pd
students = pd.DataFrame({
    "name": ["Ada Lovelace", "Alan Turing"],
    "grade": [1.7, 2.0],
    "mail": ["ada@example.org", "alan@example.org"],
})
"""
WARNING = "{{students}} may contain 2 e-mail addresses, 2 names with grades."
HINT = "Nothing was sent. Run the cell again to send it, remove this data, or use %cfai local."
SETTING = "%config Cfai.warn_personal_data = False turns off this warning."


@pytest.fixture
def cloudflare(module_cloudflare: Standin) -> Standin:
    module_cloudflare.clear()
    return module_cloudflare


@pytest.fixture
def kernel(module_kernel: Kernel, cloudflare: Standin) -> Iterator[Kernel]:
    module_kernel.run(STUDENTS)
    yield module_kernel
    module_kernel.run("%config Cfai.warn_personal_data = True")
    module_kernel.run("%cfai replay off")


@pytest.mark.slow
@pytest.mark.parametrize(
    "cell",
    [
        "%%cfai\nSummarize {{students}}",
        "%cfai ask Describe {{students}}",
        "%%cfai -n 2\nCompare {{students}}",
        "%%cfai -c talk\nRank {{students}}",
        "%%cfai --task classify\n{{students}}",
    ],
)
def test_the_first_run_warns_and_the_second_sends(
    kernel: Kernel, cloudflare: Standin, cell: str
) -> None:
    first = kernel.run(cell)
    assert first.ename == "PersonalDataError"
    assert WARNING in first.text + "".join(first.traceback)
    assert HINT in first.text + "".join(first.traceback)
    assert "ada@example.org" not in first.text + "".join(first.traceback)
    assert cloudflare.requests == ()
    second = kernel.run(cell)
    assert second.ename == ""
    assert "ada@example.org" in json.dumps(cloudflare.requests[-1].json)


@pytest.mark.slow
def test_each_expression_is_listed_with_its_counts(kernel: Kernel, cloudflare: Standin) -> None:
    kernel.run(f"key = '{token()}'; who = 'Ada'")
    cell = kernel.run("%%cfai\n{{students.mail[0]}} {{who}} {{key}} {{key}}")
    shown = cell.text + "".join(cell.traceback)
    assert "{{students.mail[0]}} may contain 1 e-mail address; {{key}} may contain 1 secret." in (
        shown
    )
    assert cloudflare.requests == ()


@pytest.mark.slow
def test_other_values_in_the_same_cell_are_warned_about(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cell = "%%cfai\nWrite to {{mail}}"
    kernel.run("mail = 'ada@example.org'")
    assert kernel.run(cell).ename == "PersonalDataError"
    kernel.run("mail = 'alan@example.org'")
    assert kernel.run(cell).ename == "PersonalDataError"
    assert cloudflare.requests == ()
    assert kernel.run(cell).ename == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "cell",
    [
        "%%cfai\n{{students.shape}} {{round(2.5)}}",
        "%%cfai --raw\n{{students}}",
        "%%cfai --dry-run\n{{students}}",
        "%%cfai\nWrite to ada@example.org",
    ],
)
def test_other_cells_run_without_a_warning(kernel: Kernel, cell: str) -> None:
    assert kernel.run(cell).ename == ""


@pytest.mark.slow
def test_the_setting_turns_off_the_warning(kernel: Kernel, cloudflare: Standin) -> None:
    cell = "%%cfai\nList {{students}}"
    failed = kernel.run(cell)
    assert SETTING in failed.text + "".join(failed.traceback)
    kernel.run("%config Cfai.warn_personal_data = False")
    assert kernel.run("%%cfai\nSort {{students}}").ename == ""
    assert "ada@example.org" in json.dumps(cloudflare.requests[-1].json)


@pytest.mark.slow
def test_a_replayed_answer_needs_no_warning(
    kernel: Kernel, cloudflare: Standin, tmp_path: Path
) -> None:
    cell = "%%cfai\nCount {{students}}"
    kernel.run(f"%cfai replay auto {tmp_path / 'answers.cfai.jsonl'}")
    assert kernel.run(cell).ename == "PersonalDataError"
    assert kernel.run(cell).ename == ""
    sent = len(cloudflare.requests)
    kernel.run("students = students.copy()")
    assert kernel.run(f"{cell}\n").ename == ""
    assert len(cloudflare.requests) == sent


@pytest.fixture
def data() -> pd.DataFrame:
    return pd.DataFrame({"student": ["Ada", "Alan"], "points": [12, 9], "room": [1, 2]})


@pytest.mark.usefixtures("own_session")
def test_a_map_warns_before_it_sends_rows(account: Standin, data: pd.DataFrame) -> None:
    template = "Write feedback for {student} with {points} points"
    with pytest.raises(PersonalDataError) as caught:
        cfai_magics.map(template, data)
    assert "{student}, {points} may contain 2 names with grades." in str(caught.value)
    assert account.requests == ()
    assert len(cfai_magics.map(template, data)) == 2
    assert len(account.requests) == 2


@pytest.mark.usefixtures("own_session")
def test_a_map_checks_only_the_columns_that_it_sends(account: Standin, data: pd.DataFrame) -> None:
    assert len(cfai_magics.map("Describe room {room} of {student}", data)) == 2
    assert len(account.requests) == 2


@pytest.mark.usefixtures("own_session")
def test_cached_rows_of_a_map_need_no_warning(account: Standin) -> None:
    rows = ["Write to ada@example.org", "Write to alan@example.org"]
    with pytest.raises(PersonalDataError, match="2 e-mail addresses"):
        cfai_magics.map("{text}", rows)
    cfai_magics.map("{text}", rows)
    sent = len(account.requests)
    cfai_magics.map("{text}", [*rows, "Write to Ada"])
    assert len(account.requests) == sent + 1


def test_a_locked_warning_does_not_name_the_setting(
    account: Standin, home: Path, tmp_path: Path
) -> None:
    course = tmp_path / "cfai.toml"
    course.write_text('warn_personal_data = true\nlocked = ["warn_personal_data"]')
    assert read_course(course).locked == {"warn_personal_data"}
    session = Session(load_settings(home, None, tmp_path), home)
    with pytest.raises(PersonalDataError) as caught:
        check_values(session, "{{mail}}", [("{{mail}}", "ada@example.org")])
    assert HINT in str(caught.value)
    assert "%config" not in str(caught.value)
    session.close()
