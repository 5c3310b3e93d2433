"""Owns what is told under an answer of how its prompt was made: earlier turns and images."""

from collections.abc import Iterable

from ..prompt.costing import Share, shares
from ..prompt.parts import Prompt
from ..render.formats import neurons
from ..values import Answer, Model


def history_told(prompt: Prompt, answer: Answer, model: Model) -> list[str]:
    """Return how many earlier turns were sent, what they cost, and how many had no room."""
    told = []
    if prompt.history:
        count = len(prompt.history)
        earlier = "1 earlier turn was" if count == 1 else f"{count} earlier turns were"
        taken = [
            each
            for each in shares(prompt, answer, model)
            if each.part and each.part.kind == "history"
        ]
        told.append(f"{earlier} sent along: {_cost(taken, answer)}.")
    if prompt.left_out:
        were = "turn was" if prompt.left_out == 1 else f"{prompt.left_out} turns were"
        told.append(
            f"The oldest {were} left out: the model's window of {model.context_window:,} tokens "
            "holds no more."
        )
    return told


def _cost(taken: Iterable[Share], answer: Answer) -> str:
    taken = tuple(taken)
    tokens = sum(each.tokens for each in taken)
    told = f"about {tokens:,} of the {answer.usage.prompt_tokens:,} tokens in"
    if any(each.neurons is None for each in taken):
        return told
    return f"{told}, {neurons(sum(each.neurons or 0.0 for each in taken))} neurons estimated"


def images_told(prompt: Prompt, answer: Answer, model: Model) -> list[str]:
    """Return how big each image of the question was sent, and what it cost."""
    return [
        f"Image {each.part.name}: {each.part.image.size}, {_cost([each], answer)}."
        for each in shares(prompt, answer, model)
        if each.part and each.part.image and each.part.kind == "image"
    ]
