"""Test `%cfai report --with-text`: all prompts and answers, to hand in."""

import base64
import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from cfai_magics.commands import run
from cfai_magics.errors import InvalidOptionError, StorageError
from cfai_magics.i18n import set_language
from cfai_magics.replay.fingerprint import RecordedRequest
from cfai_magics.session.session import Session
from cfai_magics.types.messages import Answer, Message
from cfai_magics.types.provenance import (
    METADATA_MIME_TYPE,
    group_metadata,
    output_metadata,
)
from tests.canaries import class_key, token
from tests.fake_frontends import bare_frontend
from tests.parsers.hazards import hazards
from tests.parsers.renderers import markdown_it, mistune
from tests.replay.sessions import recording
from tests.saved_answers import kinds, run_cells
from tests.standin import Standin

SUFFIXES = (".ai-appendix.md", ".ai-appendix.html", ".ai-appendix.csv")
QUESTION = "Why is the sky blue?"
Report = Callable[..., str]
HOSTILE = (
    "```\n````\n~~~\n</pre><script>alert(1)</script>\n<img src=x onerror=alert(1)>\n"
    "[l](javascript:y) $\\href{x}{y}$ --> ]]>\n# heading\n| a | b |\n|---|---|\r```\u2028```"
    "\x1b[31m"
)


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    return tmp_path / "lesson.ipynb"


@pytest.fixture
def recorder(account: Standin, notebook: Path) -> Iterator[Session]:
    """Yield a session of the notebook that records next to it."""
    with recording(account, notebook.with_suffix(".cfai.jsonl")) as session:
        session.notebook = str(notebook)
        yield session


@pytest.fixture
def report(recorder: Session, notebook: Path) -> Report:
    def run_report(*words: str) -> str:
        line = [str(notebook), "--with-text", *words]
        return str(run("report", line, bare_frontend(recorder), "%cfai"))

    return run_report


def ask(session: Session, text: str = QUESTION, system: str = "") -> Answer:
    session.recorder.begin_cell()
    messages: list[Message] = [{"role": "user", "content": text}]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    return session.ask(session.build_request(messages))


def markdown_output(answer: Answer, text: str = "") -> dict[str, Any]:
    data = {"text/markdown": text or answer.text, "text/plain": "the start…"}
    return {"output_type": "display_data", "data": data, "metadata": output_metadata(answer)}


def cell(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": list(outputs)}


def write(path: Path, *cells: dict[str, Any]) -> None:
    path.write_text(json.dumps({"cells": list(cells), "nbformat": 4}))


def files(path: Path) -> list[Path]:
    return [path.with_suffix(suffix) for suffix in SUFFIXES]


def read_all(path: Path) -> str:
    return "\n".join(file.read_text(encoding="utf-8") for file in files(path))


def rows(path: Path) -> list[dict[str, str]]:
    text = files(path)[2].read_text(encoding="utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_each_answer_has_its_prompt_as_sent_and_its_origin(
    report: Report, recorder: Session, notebook: Path
) -> None:
    answer = ask(recorder, "Why is the sky blue in Rome?", system="Be brief.")
    write(
        notebook,
        cell("%%cfai -s brief\nWhy is the sky blue in {{city}}?", markdown_output(answer)),
    )
    message = report()
    (row,) = rows(notebook)
    assert row["prompt"] == "[system]\nBe brief.\n\n[user]\nWhy is the sky blue in Rome?"
    assert (row["prompt_source"], row["answer"]) == ("recording", answer.text)
    assert row["sha256"] == sha256(answer.text.encode()).hexdigest()
    assert row["request"] == answer.provenance.request_fingerprint
    assert (row["model"], row["version"]) == (answer.model, answer.provenance.version)
    assert (row["cell"], row["basis"], row["notes"]) == ("1", "billed", "")
    assert float(row["neurons"]) == pytest.approx(answer.neurons)
    for file in files(notebook):
        text = file.read_text(encoding="utf-8")
        for expected in ("Be brief.", "in Rome?", answer.text, answer.model, row["sha256"]):
            assert expected in text
        assert file.name in message
    assert "Saved 1 answer to" in message
    assert "may contain personal data" in message


def test_without_a_recording_the_prompt_is_the_text_of_the_cell(
    report: Report, recorder: Session, notebook: Path
) -> None:
    source = "%%cfai\nWhy is the {{thing}} blue?"
    write(notebook, cell(source, markdown_output(ask(recorder))))
    notebook.with_suffix(".cfai.jsonl").unlink()
    report()
    (row,) = rows(notebook)
    assert (row["prompt_source"], row["prompt"]) == ("cell", source)
    assert (row["answer_source"], "not recorded" in row["notes"]) == ("output", True)
    assert "No recording was found" in files(notebook)[0].read_text()


@pytest.mark.parametrize(
    ("source", "is_edited"),
    [
        ("%%cfai -t 0\nWhy is the sky blue?\n", False),
        ("%%time\n%%cfai\nWhy is the {{thing}} blue?", False),
        ("%%cfai\nWhy is the sky green?", True),
        ("from cfai_magics import ask", False),
    ],
)
def test_a_cell_that_was_edited_since_is_marked(
    report: Report, recorder: Session, notebook: Path, source: str, is_edited: bool
) -> None:
    write(notebook, cell(source, markdown_output(ask(recorder))))
    report()
    (row,) = rows(notebook)
    assert ("was edited after this answer" in row["notes"]) is is_edited
    assert row["prompt"] == QUESTION


def test_an_output_that_differs_from_its_recording_is_marked(
    report: Report, recorder: Session, notebook: Path
) -> None:
    write(notebook, cell(f"%%cfai\n{QUESTION}", markdown_output(ask(recorder), "I wrote this.")))
    report()
    (row,) = rows(notebook)
    assert (row["answer"], row["answer_source"]) == ("I wrote this.", "output")
    assert "differs from the recorded answer" in row["notes"]


def test_recordings_without_an_output_follow_and_lost_texts_are_counted(
    report: Report, recorder: Session, notebook: Path
) -> None:
    shown, replaced = ask(recorder, "One?"), ask(recorder, "Two?")
    write(notebook, cell("%%cfai\nOne?", markdown_output(shown)))
    with recorder.recorder.mode_resolver.pause():
        ask(recorder, "Not recorded?")
    message = report()
    assert "1 more call of this notebook" in message
    assert [(row["cell"], row["prompt"]) for row in rows(notebook)] == [
        ("1", "One?"),
        ("", "Two?"),
    ]
    assert rows(notebook)[1]["request"] == replaced.provenance.request_fingerprint
    text = files(notebook)[0].read_text()
    assert "2\\. Only in the recording" in text
    assert "1 more call of this notebook" in text
    assert "Not recorded?" not in read_all(notebook)


def test_a_recording_of_a_local_model_has_the_text_of_its_replays(
    report: Report, recorder: Session, notebook: Path
) -> None:
    ask(recorder)
    path = notebook.with_suffix(".cfai.jsonl")
    line = json.loads(path.read_text())
    request = RecordedRequest({**line["request"], "local": "tiny"})
    path.write_text(json.dumps({**line, "request": request.fields, "key": request.fingerprint}))
    write(notebook, cell("ask('Why is the sky blue?')"))
    message = report()
    assert "Saved 1 answer" in message
    assert "more call" not in message
    (row,) = rows(notebook)
    assert (row["model"], row["basis"], row["neurons"]) == ("tiny", "local", "0.0")


def test_answers_to_the_same_question_are_matched_by_their_text(
    report: Report, recorder: Session, notebook: Path, account: Standin
) -> None:
    account.switch(answer=("first", "second"))
    recorder.recorder.begin_cell()
    answers = [
        recorder.ask(recorder.build_request([{"role": "user", "content": "Name a color."}]))
        for _ in range(2)
    ]
    cells = [cell("%%cfai\nName a color.", markdown_output(answer)) for answer in answers[::-1]]
    write(notebook, *cells)
    report()
    assert [row["answer"] for row in rows(notebook)] == [answer.text for answer in answers[::-1]]
    assert {row["notes"] for row in rows(notebook)} == {""}


@pytest.mark.parametrize("is_recorded", [True, False], ids=["recorded", "not recorded"])
def test_answers_side_by_side_have_one_row_each(
    report: Report, recorder: Session, notebook: Path, account: Standin, is_recorded: bool
) -> None:
    account.switch(answer=("red", "blue"))
    recorder.recorder.begin_cell()
    request = recorder.build_request([{"role": "user", "content": "Name a color."}])
    answers = [recorder.ask(request) for _ in range(2)]
    texts = [answer.text for answer in answers]
    html = "".join(f"<div><p>{text}</div>" for text in texts)
    output = {
        "output_type": "display_data",
        "data": {"text/html": html, "text/plain": "the start"},
        "metadata": group_metadata(answers),
    }
    write(notebook, cell("%%cfai -n 2\nName a color.", output))
    if not is_recorded:
        notebook.with_suffix(".cfai.jsonl").unlink()
    report()
    found = [row["answer"] for row in rows(notebook)]
    assert found == (texts if is_recorded else ["\n".join(texts), ""])
    assert ("first entry of this cell" in rows(notebook)[1]["notes"]) is not is_recorded


def test_texts_and_media_of_other_outputs_are_read(
    report: Report, recorder: Session, notebook: Path
) -> None:
    image = os.urandom(40)
    metadata = {METADATA_MIME_TYPE: {"model": "m", "request": "f" * 32}}
    footer = {"text/html": '<div style="color:var(--jp-ui-font-color2,GrayText)">m</div>'}
    printed = {"output_type": "stream", "name": "stdout", "text": ["plain ", "answer\n"]}
    encoded = base64.b64encode(image).decode()
    write(
        notebook,
        cell("%%cfai -f text\nHi", printed, {"data": footer, "metadata": metadata}),
        cell(
            "%%cfai --task image\na lighthouse",
            {"data": {"image/png": encoded, "text/plain": "[image/png]"}, "metadata": metadata},
        ),
        cell(
            "%%cfai --task speech\nHi",
            {
                "data": {
                    "text/html": f'<audio src="data:audio/wav;base64,{encoded}"></audio>',
                    "text/plain": "[audio/wav]",
                },
                "metadata": metadata,
            },
        ),
        cell("%%cfai\nOld?", {"data": {"text/markdown": "no metadata"}, "metadata": {}}),
        cell("x = %cfai ask Old?", {"data": {"text/markdown": "of a line"}}),
        cell("%%cfai --dry-run\nOld?", {"data": {"text/html": "<b>request</b>"}}),
        cell("print('other')", printed),
    )
    report()
    found = rows(notebook)
    assert [row["answer"] for row in found] == [
        *("plain answer", "[image/png]", "[audio/wav]", "no metadata", "of a line")
    ]
    assert {row["sha256"] for row in found[1:3]} == {sha256(image).hexdigest()}
    assert encoded not in read_all(notebook)
    assert "the model and the date are unknown" in found[3]["notes"]


def test_partial_answers_and_errors_are_marked(
    report: Report, recorder: Session, notebook: Path
) -> None:
    def output(finish: str) -> dict[str, Any]:
        metadata = {METADATA_MIME_TYPE: {"model": "m", "finish": finish}}
        return {"data": {"text/markdown": "Because"}, "metadata": metadata}

    error = {"output_type": "error", "ename": "KeyboardInterrupt", "evalue": ""}
    write(
        notebook,
        cell("%%cfai\nWhy?", output("interrupted"), error),
        cell("%%cfai\nWhy?", output("length")),
    )
    report()
    notes = [row["notes"] for row in rows(notebook)]
    assert "Interrupted. The answer is incomplete." in notes[0]
    assert "KeyboardInterrupt" in notes[0]
    assert "maximum length" in notes[1]


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_hostile_texts_stay_text_in_all_files(
    report: Report, recorder: Session, notebook: Path
) -> None:
    metadata = {
        METADATA_MIME_TYPE: dict.fromkeys(("model", "finish", "version", "request"), HOSTILE)
    }
    metadata[METADATA_MIME_TYPE]["parameters"] = {HOSTILE: HOSTILE}  # type: ignore[assignment]
    metadata[METADATA_MIME_TYPE]["recorded"] = {"date": HOSTILE}  # type: ignore[assignment]
    output = {"data": {"text/markdown": HOSTILE}, "metadata": metadata}
    write(notebook, cell(f"%%cfai\n{HOSTILE}", output))
    report()
    markdown, page, _table = files(notebook)
    for render in (markdown_it, mistune):
        html = render(markdown.read_text(encoding="utf-8"))
        assert hazards(html) == []
        assert html.count("<h1") == 1
        assert "<table" not in html
    reader = _Tags()
    reader.feed(page.read_text(encoding="utf-8"))
    assert reader.tags.isdisjoint({"script", "img", "a", "table", "iframe"})
    assert reader.attributes == {"lang", "charset", "http-equiv", "content", "dir"}
    assert "\x1b" not in read_all(notebook)
    (row,) = rows(notebook)
    assert "</pre><script>alert(1)</script>" in row["answer"]


@pytest.mark.parametrize(
    "text", ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\t=1", " =1", "\uff1d1", "\uff201"]
)
def test_no_cell_of_the_csv_is_a_formula(
    report: Report, recorder: Session, notebook: Path, text: str
) -> None:
    names = ("model", "finish", "version", "request", "basis")
    metadata = {METADATA_MIME_TYPE: dict.fromkeys(names, text)}
    output = {"data": {"text/markdown": text}, "metadata": metadata}
    write(notebook, cell(text, output))
    report()
    (row,) = rows(notebook)
    signs = ("=", "+", "-", "@", "\t", "\n", "\uff1d", "\uff20")
    assert all(not value.lstrip(" ").startswith(signs) for value in row.values())
    assert row["answer"] == f"'{text}"


def test_texts_in_all_scripts_and_of_any_length_are_complete(
    report: Report, recorder: Session, notebook: Path
) -> None:
    texts = [
        "天空为什么是蓝色的",
        "لماذا السماء زرقاء؟",
        "a😀\n\n" + "long line " * 12_000 + "end",
    ]
    outputs = [
        {"data": {"text/markdown": text}, "metadata": {METADATA_MIME_TYPE: {"model": "m"}}}
        for text in texts
    ]
    write(notebook, *(cell("%%cfai\nHi", output) for output in outputs))
    report()
    assert [row["answer"] for row in rows(notebook)] == texts
    for file in files(notebook)[:2]:
        assert all(text in file.read_text(encoding="utf-8") for text in texts)
    assert 'dir="auto"' in files(notebook)[1].read_text(encoding="utf-8")


def test_secrets_are_replaced_and_personal_data_is_counted(
    report: Report, recorder: Session, notebook: Path, account: Standin
) -> None:
    secrets = (token(), class_key(), account.account_id)
    text = f"{', '.join(secrets)}; write to ada@example.org and bob@example.org"
    metadata = {METADATA_MIME_TYPE: {"model": secrets[0], "version": secrets[1]}}
    output = {"data": {"text/markdown": text}, "metadata": metadata}
    write(notebook, cell(f"%%cfai\n{text}", output))
    message = report()
    assert "8 tokens, keys or account IDs were replaced" in message
    assert "2 e-mail addresses" in message
    for secret in secrets:
        assert secret not in read_all(notebook) + message


def test_existing_files_are_replaced_only_on_request(
    report: Report, recorder: Session, notebook: Path
) -> None:
    write(notebook, cell(f"%%cfai\n{QUESTION}", markdown_output(ask(recorder))))
    page = files(notebook)[1]
    page.write_text("mine")
    with pytest.raises(
        InvalidOptionError, match=r"ai-appendix.html already exists\.\n.*--overwrite"
    ):
        report()
    assert (page.read_text(), files(notebook)[0].exists()) == ("mine", False)
    assert "1 existing file was replaced" in report("--overwrite")
    assert QUESTION in page.read_text()


def test_all_files_are_written_or_none(report: Report, recorder: Session, notebook: Path) -> None:
    write(notebook, cell(f"%%cfai\n{QUESTION}", markdown_output(ask(recorder))))
    files(notebook)[2].mkdir()
    before = sorted(notebook.parent.iterdir())
    with pytest.raises(StorageError, match=r"can't be written.*\n.*--output"):
        report("--overwrite")
    assert sorted(notebook.parent.iterdir()) == before


def test_files_are_written_to_another_folder(
    report: Report, recorder: Session, notebook: Path
) -> None:
    write(notebook, cell(f"%%cfai\n{QUESTION}", markdown_output(ask(recorder))))
    folder = notebook.parent / "paper"
    with pytest.raises(InvalidOptionError, match="does not exist"):
        report("--output", str(folder))
    folder.mkdir()
    report("--output", str(folder))
    assert sorted(each.name for each in folder.iterdir()) == sorted(
        file.name for file in files(notebook)
    )
    run("report", [str(notebook), "--save", "--output", str(folder)], bare_frontend(recorder), "")
    assert (folder / "lesson.ai-use.md").exists()


def test_without_answers_no_file_is_written(report: Report, notebook: Path) -> None:
    write(notebook, cell("1 + 1"))
    assert "have no answers, so no files were written" in report()
    assert not any(file.exists() for file in files(notebook))


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--with-text", "--csv"], "--with-text can't be combined with --csv"),
        (["--with-text", "--save"], "--with-text can't be combined with --save"),
        (["--output", "."], "--output needs --save or --with-text"),
        (["--save", "--overwrite"], "--overwrite needs --with-text"),
        (["--with-text", "gone.ipynb"], "gone.ipynb does not exist"),
    ],
)
def test_options_that_do_not_belong_together_are_rejected(
    recorder: Session, notebook: Path, words: list[str], error: str
) -> None:
    write(notebook, cell("1 + 1"))
    with pytest.raises(InvalidOptionError, match=error):
        run("report", words, bare_frontend(recorder), "%cfai")


def test_damaged_lines_of_the_recording_are_named(
    report: Report, recorder: Session, notebook: Path
) -> None:
    write(notebook, cell(f"%%cfai\n{QUESTION}", markdown_output(ask(recorder))))
    with notebook.with_suffix(".cfai.jsonl").open("a") as file:
        file.write("{\n")
    report()
    assert "has damaged lines" in files(notebook)[1].read_text()


def test_the_appendix_is_in_the_language_of_the_user(
    report: Report, recorder: Session, notebook: Path
) -> None:
    write(notebook, cell(f"%%cfai\n{QUESTION}", markdown_output(ask(recorder))))
    set_language("setting", "zh-CN")
    try:
        report()
    finally:
        set_language("setting", "")
    markdown, page, _table = (file.read_text(encoding="utf-8") for file in files(notebook))
    assert markdown.startswith("# 本笔记本的 AI 使用情况")
    assert '<html lang="zh-CN">' in page
    assert rows(notebook)[0]["prompt_source"] == "recording"


@pytest.mark.slow
def test_answers_of_a_real_kernel_are_read_completely(
    cloudflare: Standin, tmp_path: Path, session: Session
) -> None:
    shown = kinds(4_000)
    cells = run_cells(cloudflare, tmp_path / "kernel", shown.values())
    path = tmp_path / "kernel.ipynb"
    path.write_text(json.dumps({"cells": cells, "nbformat": 4}))
    run("report", [str(path), "--with-text"], bare_frontend(session), "%cfai")
    found = rows(path)
    by_cell = {name: str(number) for number, name in enumerate(shown, start=1)}
    for name, kind in shown.items():
        texts = [row["answer"] for row in found if row["cell"] == by_cell[name]]
        assert len(texts) == max(1, len(kind.answers))
        if name == "columns":
            words = "".join(texts[0].split())
            assert all("".join(text.split("\n")[2].split()) in words for text in kind.answers)
        elif kind.answers:
            assert texts == [kind.answers[0]]
        else:
            assert "image/" in texts[0]
