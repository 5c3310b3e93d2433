"""A tokenizer simple enough to know by heart: four characters are a token."""

CHARACTERS = 4
IMAGE_TOKENS = 256


def count(text: str) -> int:
    """Return how many tokens a text has."""
    return -(-len(text) // CHARACTERS)


def cut(text: str) -> tuple[str, ...]:
    """Cut a text into its tokens; characters stay whole."""
    return tuple(text[at : at + CHARACTERS] for at in range(0, len(text), CHARACTERS))
