"""Errors of options name the problem and suggest the closest option or value."""

import pytest

from cfai_magics.chat.options import get_ask_parser
from cfai_magics.commands import run
from cfai_magics.errors import InvalidOptionError
from cfai_magics.session.session import Session
from tests.fake_frontends import bare_frontend


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (["--temprature", "0"], "Did you mean --temperature?"),
        (["--max_tokens=5"], "Did you mean --max-tokens?"),
        (["-f", "jsno"], "Did you mean json?"),
        (["--temprature", "0", "--modle", "x"], "Did you mean --temperature or --model?"),
    ],
    ids=str,
)
def test_a_misspelled_option_or_value_gets_a_suggestion(words: list[str], suggestion: str) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        get_ask_parser().parse_args(words)
    cause, hint = str(caught.value).split("\n")
    assert words[0] in cause or "jsno" in cause
    assert hint.startswith(suggestion)


@pytest.mark.parametrize("words", [["--nonsense"], ["stray"], ["-z"]], ids=str)
def test_an_unknown_option_that_resembles_none_gets_no_suggestion(words: list[str]) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        get_ask_parser().parse_args(words)
    assert "Did you mean" not in str(caught.value)
    assert "%%cfai? lists the options" in caught.value.hint


def test_an_ambiguous_option_is_reported_with_its_candidates() -> None:
    with pytest.raises(InvalidOptionError, match="--t could be --thread, --temperature"):
        get_ask_parser().parse_args(["--t", "0"])


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("modles", "Did you mean cfai models?"),
        ("threads", "Did you mean cfai thread?"),
        ("rep", "Did you mean cfai replay or cfai report?"),
    ],
)
def test_a_misspelled_command_gets_a_suggestion(
    session: Session, name: str, suggestion: str
) -> None:
    with pytest.raises(InvalidOptionError, match=f"Unknown command '{name}'") as caught:
        run(name, [], bare_frontend(session), "cfai")
    assert caught.value.hint == f"{suggestion} cfai help lists the commands."
