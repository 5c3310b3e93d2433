"""A simple tokenizer: each token has four characters."""

CHARACTERS = 4
IMAGE_TOKENS = 256


def count(text: str) -> int:
    """Return the number of tokens of a text."""
    return -(-len(text) // CHARACTERS)


def cut(text: str) -> tuple[str, ...]:
    """Split a text into tokens; characters are not split."""
    return tuple(text[at : at + CHARACTERS] for at in range(0, len(text), CHARACTERS))
