"""Test comparisons of models, temperatures and repetitions in a real kernel."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernels import Kernel
from tests.standin import Fault, Standin, Switches

pytestmark = pytest.mark.slow

GEMMA, LLAMA = "gemma-4-26b-a4b-it", "llama-3.2-3b-instruct"
TWO = f"-m {GEMMA} -m {LLAMA}"


@pytest.fixture
def cloudflare(module_cloudflare: Standin) -> Standin:
    module_cloudflare.clear()
    module_cloudflare.switches = Switches(answer="Blue *scatters* most.")
    return module_cloudflare


@pytest.fixture
def kernel(module_kernel: Kernel, cloudflare: Standin) -> Iterator[Kernel]:
    yield module_kernel
    module_kernel.run("%cfai budget reopen")


def test_two_models_answer_side_by_side_in_one_output(kernel: Kernel, cloudflare: Standin) -> None:
    before = cloudflare.billed
    cell = kernel.run(f"%%cfai {TWO} -o both\nWhy is the sky blue?")
    grid, footer = cell.outputs
    html = grid["data"]["text/html"]
    assert f"<strong>{GEMMA}</strong>" in html
    assert f"<strong>{LLAMA}</strong>" in html
    assert html.count("<em>scatters</em>") == 2
    assert grid["data"]["text/plain"].count("neurons billed") == 2
    assert footer["data"]["text/plain"].startswith("2 answers · ")
    printed = kernel.run(
        "print(both is _cfai, len(both), both.neurons, both.cost_basis)"
    ).text.split()
    assert printed[:2] == ["True", "2"]
    assert float(printed[2]) == pytest.approx(cloudflare.billed - before)
    assert printed[3] == "billed"


def test_each_temperature_gets_n_answers_and_their_duplicates_are_counted(
    kernel: Kernel, cloudflare: Standin
) -> None:
    # Requests arrive in any order, so three of these answers must never be the same.
    texts = itertools.cycle(["Oder", "Oder", "Main", "Main", "Elbe", "Elbe"])
    cloudflare.switch(answer=lambda _: next(texts))
    cell = kernel.run("%%cfai -n 3 -t 0,1.3 --max-tokens 20 -o spread\nName a river.")
    sent = sorted(request.json["temperature"] for request in cloudflare.requests)
    assert sent == [0.0, 0.0, 0.0, 1.3, 1.3, 1.3]
    assert cell.mime("text/html")[0].count("distinct answers in 3") == 2
    assert cell.mime("text/html")[0].count("each ") == 2
    counts = kernel.run("print(spread.df().groupby('temperature').text.count().to_dict())").text
    assert counts.strip() == "{0.0: 3, 1.3: 3}"


def test_the_footer_counts_distinct_answers(kernel: Kernel, cloudflare: Standin) -> None:
    assert "4 answers, 1 distinct · " in kernel.run("%%cfai -n 4\nName a river.").text
    assert "4 answers, 1 distinct · " in kernel.run("%%cfai -n 4 --footer short\nA river.").text
    assert len(kernel.run("%%cfai -n 4 --footer off\nName a river.").outputs) == 1


def test_an_interrupt_stops_all_answers_and_keeps_their_text(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cloudflare.switch(answer="word " * 5_000, tokens_per_second=50)
    running = kernel.start(f"%%cfai {TWO} --max-tokens 9000 -o part\nWhy?")
    kernel.until_shown(running, "2 answers in progress…")
    assert cloudflare.wait_for(lambda c: len(c.requests) == 2)
    cell = kernel.interrupt(running)
    assert cell.ename == "InterruptedAnswerError"
    assert "answers" in cell.traceback[0]
    assert cloudflare.wait_for(lambda c: c.disconnects == 2)
    assert kernel.run("print({a.finish_reason for a in part})").text.strip() == "{'interrupted'}"
    assert "neurons billed" in kernel.run("%%cfai --max-tokens 5\nStill there?").text


def test_a_failed_answer_is_shown_in_its_column_and_fails_the_cell(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cloudflare.switch(retired=[f"@cf/meta/{LLAMA}"])
    cell = kernel.run(f"%%cfai {TWO} -o both\nWhy?")
    assert cell.ename == "ModelNotFoundError"
    assert cell.traceback[0].startswith("ModelNotFoundError: 1 of 2 answers failed: ")
    assert "scatters" in cell.mime("text/html")[0]
    assert "ModelNotFoundError: " in cell.mime("text/html")[0]
    assert kernel.run("print([bool(line) for line in both.errors])").text.strip() == (
        "[False, True]"
    )


def test_a_comparison_above_the_limit_is_rejected_as_a_whole(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cell = kernel.run("%%cfai -n 5 --max-neurons 1\nWhy?")
    assert cell.ename == "BudgetExceededError"
    assert cell.outputs == []
    assert cloudflare.requests == ()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"{TWO} -c", "-c works only with a single answer"),
        (f"{TWO} -f json", "A comparison shows answers only as Markdown or text"),
        (f"{TWO} -x", "A comparison shows answers only as Markdown or text"),
        (f"-m {GEMMA} -m @cf/google/{GEMMA}", "The same model or temperature is given twice"),
        ("-t 0,0", "The same model or temperature is given twice"),
        ("-n 61", "61 answers are too many for one cell"),
        ("-n 21 -t 0,0.5,1", "63 answers are too many for one cell"),
        ("-n 0", "-n must be at least 1, not 0"),
        ("-t 0,warm", "argument -t/--temperature"),
        (f"{TWO} --image pixels", f"{LLAMA} can't see images"),
    ],
)
def test_invalid_options_are_rejected_before_sending(
    kernel: Kernel, cloudflare: Standin, line: str, message: str
) -> None:
    kernel.run("from tests.standin import media; pixels = media.png(8, 8, 0)")
    cell = kernel.run(f"%%cfai {line}\nWhy?")
    assert message in cell.traceback[0]
    assert len(cell.traceback) == 1
    assert cloudflare.requests == ()


def test_a_dry_run_shows_all_requests_and_their_total_cost(
    kernel: Kernel, cloudflare: Standin
) -> None:
    single = kernel.run("%%cfai --dry-run --max-tokens 100\nWhy?").text
    cell = kernel.run("%%cfai --dry-run -n 3 --max-tokens 100\nWhy?").text
    assert cell.count('"max_tokens": 100') == 3
    assert (
        "3 requests. The token counts are for one request. The neurons are for all requests."
        in cell
    )
    high, all_high = (float(text.split(" neurons")[0].split()[-1]) for text in (single, cell))
    assert all_high == pytest.approx(3 * high, rel=0.05)
    assert cloudflare.requests == ()


def test_the_sent_prompt_can_be_shown(kernel: Kernel) -> None:
    cell = kernel.run(f"%%cfai {TWO} --sent\nWhy?")
    assert "Sent prompt" in cell.mime("text/html")[-1]
    assert "Why?" in kernel.run("%cfai sent").text


def test_the_wait_before_a_retry_is_shown_in_its_column(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cloudflare.switch(error=Fault.of(3040), errors_before_success=1, retry_after="3")
    running = kernel.start(f"%%cfai {TWO}\nWhy?")
    seen = ""
    while not running[1].done:
        kernel.step(running)
        seen += "".join(running[1].mime("text/html"))
    assert "attempt 2 in 3 s" in seen
    assert running[1].ename == ""


def test_the_shell_prints_the_answers_one_after_the_other(
    account: Standin, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from cfai_magics.cli import main

    account.switch(answer="Blue.")
    assert main(["ask", "-n", "2", "Why?"]) == 0
    output = capsys.readouterr()
    assert output.out == "--- 1 of 2\nBlue.\n×2\n"
    assert "2 answers, 1 distinct · " in output.err
