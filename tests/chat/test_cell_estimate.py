"""Test the estimated cost of a cell from its source, and that nothing else happens."""

import logging
import sqlite3
from argparse import Namespace
from contextlib import closing
from pathlib import Path

import pytest

from cfai_magics.chat.cell_estimate import CellEstimate, estimate_cell
from cfai_magics.chat.options import get_ask_parser
from cfai_magics.commands.ask import ask_prompt
from cfai_magics.display.preview import Preview
from cfai_magics.display.tables import format_estimate
from cfai_magics.errors import LocalModelError
from cfai_magics.magic_line import split_magic_line
from cfai_magics.notebook import split_cell
from cfai_magics.pricing.typical import MAX_DEFAULT_ANSWER_TOKENS
from cfai_magics.replay.record_mode import RecordMode
from cfai_magics.session.session import Session
from cfai_magics.settings import load_settings
from cfai_magics.storage.ledger import CallContext, CallOutcome
from cfai_magics.types.usage import CHAT_TASK, Status, Usage
from tests.canaries import token
from tests.fake_frontends import bare_frontend
from tests.standin import Standin

MODEL = "@cf/google/gemma-4-26b-a4b-it"
SMALL = "llama-3.2-1b-instruct"
PROMPT = "Why is the sky “blue”? 🐟\n"


def estimated(session: Session, source: str) -> CellEstimate:
    estimate = estimate_cell(session, source)
    assert estimate is not None
    return estimate


def parse(source: str) -> tuple[Namespace, str]:
    parts = split_cell(source)
    assert parts is not None
    return get_ask_parser().parse_args(split_magic_line(parts[0])), parts[1]


def dry_run(session: Session, source: str) -> Preview:
    options, prompt = parse(source)
    options.dry_run = True
    preview = ask_prompt(bare_frontend(session), prompt, options)
    assert isinstance(preview, Preview)
    return preview


@pytest.mark.parametrize(
    "line",
    [
        "",
        f"-m {SMALL}",
        f"-m{SMALL} --max-tokens=100",
        f"-m {SMALL} -m gemma-4-26b-a4b-it",
        "-n 3",
        "-t 0,0.7,1.3",
        f"-m {SMALL} -m gemma-4-26b-a4b-it -t 0,0.7 -n 2",
        "-t 0.5 --top-p 0.5 --seed 7 --stop END --no-stream",
        "--system 'Be \\'brief\\'.'",
        "-s 'Be brief.' -f text",
        "-f code",
        "-x",
        "-f json",
        "-f table",
        "-p seed=3 -p top_k=40",
        "--think",
        "-o answer --sent --footer off",
        "--gateway course",
        "--raw",
        "--max-neurons 5",
        "-n 3 --max-neurons 10",
    ],
)
def test_the_figures_are_those_of_a_dry_run(session: Session, line: str) -> None:
    source = f"%%cfai {line}\n{PROMPT}"
    cost = dry_run(session, source).cost
    estimate = estimated(session, source)
    assert cost is not None
    assert (estimate.typical, estimate.high) == (cost.typical, cost.high)
    assert 0 < cost.typical < cost.high


@pytest.mark.parametrize("models", ["-m gemma-4-26b-a4b-it", f"-m {SMALL} -m gpt-oss-20b"])
def test_without_max_tokens_the_maximum_is_the_longest_answer(
    session: Session, models: str
) -> None:
    source = f"%%cfai {models} -p max_tokens=null\n{PROMPT}"
    preview = dry_run(session, source)
    assert preview.cost is not None
    high = preview.cost.bounded.high
    assert high > 1_000
    assert estimated(session, source).high == pytest.approx(high)
    assert "up to 0 tokens" not in preview.neurons_text
    assert format_estimate(preview.cost.typical, high) in preview.neurons_text


@pytest.mark.parametrize("settings", [{"system": "Be brief — always."}, {"max_tokens": 50}])
def test_settings_apply(session: Session, settings: dict[str, object]) -> None:
    for name, value in settings.items():
        setattr(session.settings, name, value)
    cost = dry_run(session, f"%%cfai\n{PROMPT}").cost
    assert cost is not None
    assert estimated(session, f"%%cfai\n{PROMPT}").high == pytest.approx(cost.high)


def test_max_neurons_limits_the_estimate(session: Session) -> None:
    limited = estimated(session, f"%%cfai -n 3 --max-neurons 2\n{PROMPT}")
    assert limited.high is not None
    assert limited.high <= 2
    assert limited.typical == limited.high


def test_images_are_counted_but_not_loaded(session: Session, tmp_path: Path) -> None:
    missing = tmp_path / "missing.png"
    plain = estimated(session, f"%%cfai\n{PROMPT}").high
    images = "--image last --image https://example.invalid/a.png"
    two = estimated(session, f"%%cfai {images}\n{PROMPT}").high
    three = estimated(session, f"%%cfai {images} --image '{missing}'\n{PROMPT}").high
    assert plain
    assert two
    assert three
    assert three - two == pytest.approx((two - plain) / 2)


@pytest.mark.parametrize("options", ["", f"-m {SMALL} -m gemma-4-26b-a4b-it", "-n 3"])
def test_the_cells_above_are_estimated_with_their_limit(session: Session, options: str) -> None:
    def estimate(line: str) -> tuple[float, float]:
        estimate = estimated(session, f"%%cfai {options} {line}\n{PROMPT}")
        assert estimate.typical
        assert estimate.high
        return estimate.typical, estimate.high

    plain, small, large = map(estimate, ("", "--context above:1000", "--context above:3000"))
    assert large[0] - plain[0] == pytest.approx(3 * (small[0] - plain[0]))
    assert large[1] - plain[1] == pytest.approx(3 * (small[1] - plain[1]), rel=1e-6)
    assert small[1] - plain[1] > small[0] - plain[0] > 0
    assert estimate("--context above") == estimate("--context above:4000")


@pytest.mark.parametrize(
    ("source", "has_expressions", "has_history"),
    [
        ("%%cfai\nWhat is in {{df}}?", True, False),
        ("%%cfai -c\n{{df.head()}} and {{text!r}}", True, True),
        ("%%cfai -c lesson\nAnd then?", False, True),
        ("%%cfai --raw\nWhat is in {{df}}?", False, False),
        ("%%cfai\nx^{{12}}, {one} and $two", False, False),
        ("%%cfai -s {{df}}\nWhy?", False, False),
    ],
)
def test_parts_that_are_not_included_are_reported(
    session: Session, source: str, has_expressions: bool, has_history: bool
) -> None:
    estimate = estimated(session, source)
    assert (estimate.has_expressions, estimate.has_history) == (has_expressions, has_history)


@pytest.mark.parametrize("text", ["\ud800", "{{ " * 20_000, "x" * 1_000_000], ids=range(3))
def test_odd_text_does_not_fail(session: Session, text: str) -> None:
    estimate = estimate_cell(session, f"%%cfai\n{text}")
    assert estimate is None or not estimate.has_expressions


def test_a_model_without_a_price_has_an_unknown_cost(session: Session) -> None:
    source = f"%%cfai -m {SMALL} -m @cf/no/price\nWhy? {{{{x}}}}"
    assert estimate_cell(session, source) == CellEstimate(None, None, has_expressions=True)


@pytest.mark.parametrize(
    "source",
    [
        "%%cfai",
        "%%cfai\n",
        "%%cfai\n \n",
        "%%cfai -m\nWhy?",
        "%%cfai -m no-such-model\nWhy?",
        f"%%cfai -m {SMALL} -m {SMALL}\nWhy?",
        "%%cfai -t 0,warm\nWhy?",
        "%%cfai -t 9\nWhy?",
        "%%cfai -n few\nWhy?",
        "%%cfai -n 0\nWhy?",
        "%%cfai -n 1000000000\nWhy?",
        "%%cfai --max-tokens many\nWhy?",
        "%%cfai --max-tokens -5\nWhy?",
        "%%cfai --max-neurons 0\nWhy?",
        "%%cfai --top-p 2\nWhy?",
        "%%cfai --nonsense\nWhy?",
        "%%cfai --raw=yes\nWhy?",
        "%%cfai a word\nWhy?",
        "%%cfai -s 'not closed\nWhy?",
        "%%cfai -o 1x\nWhy?",
        "%%cfai -p x\nWhy?",
        "%%cfai -p stream=true\nWhy?",
        "%%cfai -f odd\nWhy?",
        "%%cfai -n 2 -c\nWhy?",
        "%%cfai --to French\nWhy?",
        "%%cfai --max-steps 3\nWhy?",
        "%%cfai --gateway 'a b'\nWhy?",
        f"%%cfai -m {SMALL} --image last\nWhy?",
        pytest.param(f"%%cfai -s {token()}\nWhy?", id="token"),
        pytest.param(f"%%cfai -p x={'[' * 100_000}\nWhy?", id="nested too deeply"),
        "%%other\nWhy?",
        "",
    ],
)
def test_a_cell_that_would_fail_has_no_estimate(session: Session, source: str) -> None:
    assert estimate_cell(session, source) is None


@pytest.mark.parametrize("line", ["--task image", "--schema Person", "--tools f,g"])
def test_cells_that_send_several_or_other_requests_have_no_estimate(
    session: Session, line: str
) -> None:
    assert estimate_cell(session, f"%%cfai {line}\nA fish") is None


def test_a_course_that_does_not_allow_the_request_leaves_no_estimate(
    account: Standin, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cfai.toml").write_text('allowed_models = ["gemma-4-26b-a4b-it"]\n')
    monkeypatch.chdir(tmp_path)
    with closing(Session(load_settings(home), home)) as session:
        assert estimate_cell(session, f"%%cfai -m {SMALL}\nWhy?") is None
        assert estimated(session, "%%cfai\nWhy?").high


def test_the_local_model_costs_nothing_and_is_not_started(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_model: str) -> None:
        raise LocalModelError("started")

    monkeypatch.setattr(session.backend, "start_local", start)
    session.settings.local = "smollm2"
    assert estimate_cell(session, "%%cfai\nWhy?") == CellEstimate(0.0, 0.0)
    assert estimate_cell(session, "%%cfai --nonsense\nWhy?") is None


@pytest.fixture
def recorded(session: Session, tmp_path: Path) -> Session:
    """Return a session that replays one recorded answer to "Why?", at temperature 0."""
    cassette = tmp_path / "lesson.cfai.jsonl"
    session.recorder.set_mode(RecordMode("auto", cassette))
    request = session.build_request([{"role": "user", "content": "Why?"}], temperature=0.0)
    session.ask(request)
    return session


def test_a_replayed_answer_costs_nothing(recorded: Session) -> None:
    assert estimate_cell(recorded, "%%cfai -t 0\nWhy?") == CellEstimate(0.0, 0.0)
    one, two = (estimated(recorded, f"%%cfai -t {t}\nWhy?").high for t in ("1", "0,1"))
    assert one
    assert two == pytest.approx(one)


def test_nothing_is_sent_in_only_mode_so_it_costs_nothing(recorded: Session) -> None:
    recorded.recorder.set_mode(RecordMode("only", recorded.recorder.record_mode.path))
    assert estimate_cell(recorded, "%%cfai -t 0\nWhy {{x}}?") == CellEstimate(0.0, 0.0)


def book(session: Session, tokens: int, status: Status = "ok", model: str = MODEL) -> None:
    context = session.accounting.get_context()
    ledger = session.accounting.ledger
    call = ledger.reserve(context, model, CHAT_TASK, lambda *_: 1.0)
    ledger.settle(call, CallOutcome(status, Usage(10, tokens, 0, 1.0, "estimated")))


def test_the_typical_length_is_that_of_the_models_recent_answers(session: Session) -> None:
    first = estimated(session, "%%cfai\nWhy?").typical
    price = session.resolve_catalog_model(MODEL).neurons_out
    assert first is not None
    assert price is not None
    book(session, 1000, model="@cf/meta/llama-3.2-1b-instruct")
    book(session, 1000, "failed")
    assert estimated(session, "%%cfai\nWhy?").typical == first
    for tokens in (100, 2000, 300):
        book(session, tokens)
    learned = estimated(session, "%%cfai\nWhy?").typical
    assert learned == pytest.approx(first + (300 - MAX_DEFAULT_ANSWER_TOKENS) * price / 1000)
    short = estimated(session, "%%cfai --max-tokens 10\nWhy?").typical
    assert short == pytest.approx(first + (10 - MAX_DEFAULT_ANSWER_TOKENS) * price / 1000)


def test_only_the_last_20_answers_of_the_account_count(session: Session) -> None:
    ledger, account = session.accounting.ledger, session.accounting.get_context().account
    other = ledger.reserve(CallContext("other", ""), MODEL, CHAT_TASK, lambda *_: 1.0)
    ledger.settle(other, CallOutcome("ok", Usage(10, 5, 0, 1.0, "estimated")))
    for tokens in range(1, 31):
        book(session, tokens)
    recent = ledger.history.recent_answer_tokens(account)
    assert recent == {MODEL: list(range(30, 10, -1))}


def stored(home: Path) -> dict[Path, bytes]:
    """Return the content of each file, except for the index of SQLite, which readers use too."""
    files = (path for path in home.rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files if not path.name.endswith("-shm")}


def full_source(canary: str) -> str:
    """Return a cell with the canary in its text, in {{…}}, and in all options with a value."""
    line = (
        f"-s '{canary} {{{{{canary}}}}} {{{canary}}} ${canary}' -c {canary} -o {canary}"
        f" --image {canary}.png --stop {canary} -p note={canary}"
    )
    return f"%%cfai {line}\nWhy {canary}? {{{{{canary}()}}}} {{{canary}}} ${canary}"


def test_the_text_is_neither_stored_nor_logged_nor_sent(
    session: Session, account: Standin, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    canary = "canary7b1f"
    session.day_usage()
    before = stored(home)
    with caplog.at_level(logging.DEBUG):
        estimate = estimated(session, full_source(canary))
        assert estimate_cell(session, f"%%cfai --{canary}\n{canary}") is None
        assert estimate_cell(session, f"%%cfai -m {canary}\n{canary}") is None
    assert estimate.has_expressions
    assert estimate.has_history
    assert stored(home) == before
    assert canary not in caplog.text
    assert account.requests == ()


def test_the_source_of_that_test_has_all_options_with_free_text() -> None:
    values = vars(parse(full_source("canary"))[0])
    names = {name for name, value in values.items() if "canary" in str(value)}
    assert names == {"system", "thread", "output", "image", "stop", "param"}


def test_an_estimate_waits_for_no_writer_of_the_ledger(session: Session) -> None:
    session.day_usage()
    path = session.accounting.ledger.path
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert estimated(session, "%%cfai\nWhy?").high
        writer.execute("ROLLBACK")
