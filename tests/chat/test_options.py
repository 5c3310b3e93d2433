"""Test the parsing of options."""

import pytest

from cfai_magics.chat.options import get_ask_parser
from cfai_magics.errors import InvalidOptionError


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["-s", "a", "-s", "b"], "-s/--system"),
        (["-t", "0", "--temperature=1"], "-t/--temperature"),
        (["-c", "-c=x"], "-c/--thread"),
        (["-n", "2", "--times", "3"], "-n/--times"),
        (["--max-tokens", "5", "--max-tokens", "6"], "--max-tokens"),
        (["-f", "json", "-f", "text"], "-f/--format"),
    ],
)
def test_an_option_with_one_value_is_rejected_the_second_time(
    words: list[str], option: str
) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        get_ask_parser().parse_args(words)
    assert caught.value.cause == f"%%cfai: argument {option}: use it only once"


def test_repeatable_options_and_flags_can_be_repeated() -> None:
    words = ["-m", "a", "-m", "b", "-p", "a=1", "-p", "b=2", "--stop", "x", "--stop", "y"]
    options = get_ask_parser().parse_args([*words, "--raw", "--raw"])
    assert (options.model, options.param) == (["a", "b"], ["a=1", "b=2"])
    assert (options.stop, options.raw) == (["x", "y"], True)
