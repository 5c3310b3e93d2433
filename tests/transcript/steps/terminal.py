"""The session in IPython in a terminal."""

from ..world import Step

CODE = "So:\n\n```python\nx = 6 * 7\n```\n"
ADD = {"name": "hello", "arguments": {"to": "you"}}


def cell(line: str, text: str) -> str:
    """Return a line that runs a cell: in a terminal, each step is one line."""
    return f"get_ipython().run_cell_magic('cfai', {line!r}, {text!r})"


PARTS = {
    "all": [
        Step("%load_ext cfai_magics"),
        Step("from tests.transcript.names import fields"),
        Step("%cfai status"),
        Step(
            cell("", "Why is the sky blue?"), server={"answer": "Blue *scatters* most."}, takes=1.5
        ),
        Step("fields(_cfai)"),
        Step(cell("--think", "Why?"), server={"thought": "Light.", "answer": "It scatters."}),
        Step(cell("-f text --footer full", "Why?")),
        Step(cell("-f raw --footer off", "Why?")),
        Step(cell("-f json", "One."), server={"answer": '{"a": 1}'}),
        Step(cell("-f table", "One."), server={"answer": "| a | b |\n|---|---|\n| 1 | 2 |"}),
        Step(cell("-f code", "Multiply."), server={"answer": CODE}),
        Step(""),
        Step(cell("-c", "Name a color."), server={"answer": "Blue."}),
        Step(cell("-n 2", "Why?"), server={"answer": "Blue."}, parallel=True),
        Step(cell("--sent --max-neurons 50", "Why?")),
        Step("%cfai sent"),
        Step(cell("--dry-run", "Why?")),
        Step("hello = lambda to: 'Hello ' + to"),
        Step(
            cell("--tools hello", "Greet."),
            server={"answer": "Done.", "tool_calls": [ADD]},
            typed=["y"],
        ),
        Step(cell("--task translate --from en --to de", "Good morning")),
        Step(cell("--task image --save made.jpg", "A lighthouse")),
        Step("1 / 0"),
        Step("%cfai fix", server={"answer": "By zero.\n\n```python\n1 / 1\n```"}),
        Step(""),
        Step("%cfai explain", server={"answer": "By zero."}),
        Step(
            "import cfai_magics as cfai; cfai.map('{text}?', ['a', 'b'], max_tokens=9)",
            server={"answer": "Yes."},
            parallel=True,
        ),
        Step("%cfai usage"),
        Step("%cfai budget 100"),
        Step("%cfai panel"),
        Step("%cfai budget off"),
        Step("%cfai thread", loose=True),
        Step("%cfai replay auto lesson.rec.jsonl"),
        Step(cell("", "Name a river."), server={"answer": "Rhine."}),
        Step(cell("", "Name a river.")),
        Step("%cfai replay off"),
        Step(
            cell("", "Go on."),
            server={"answer": "word and more", "tokens_per_second": 0.01},
            interrupt="word",
        ),
        Step(cell("", "Go on."), server={"delay_before_headers": 90.0}, interrupt="@1"),
        Step(cell("-m nosuchmodel", "Hi")),
        Step("%cfai nonsense"),
        Step("%cfai login", typed=["<account>", "<token>"]),
        Step("%cfai logout"),
    ]
}
