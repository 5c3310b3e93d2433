"""Owns which part of a prompt took which tokens, and what they cost: estimated from the whole."""

from collections.abc import Iterable
from dataclasses import dataclass

from .pricing import guessed_tokens, list_rates
from .prompt import Part, Prompt
from .render.formats import neurons
from .values import Answer, Model, Usage


@dataclass(frozen=True, slots=True)
class Share:
    """What one part of a call took: its tokens, and its neurons where there is a price."""

    part: Part
    tokens: int
    neurons: float | None


def shares(prompt: Prompt, answer: Answer, model: Model) -> tuple[Share, ...]:
    """Return what each part of the prompt took, in order.

    The tokens that were billed for the prompt are divided among its parts by the length of their
    texts; images have what the texts leave.
    """
    parts = prompt.parts
    guessed = [_guessed(part) for part in parts]
    texts = sum(size for part, size in zip(parts, guessed, strict=True) if not part.image)
    images = sum(guessed) - texts
    billed = answer.usage.prompt_tokens
    if images and billed > texts:
        of_texts, of_images = 1.0, (billed - texts) / images
    else:
        of_texts = of_images = billed / (sum(guessed) or 1)
    rates = None if answer.local else list_rates(model)

    def share(part: Part, size: int) -> Share:
        tokens = round(size * (of_images if part.image else of_texts))
        return Share(part, tokens, rates.neurons(Usage(tokens)) if rates else None)

    return tuple(map(share, parts, guessed))


def _guessed(part: Part) -> int:
    return part.image.tokens if part.image else guessed_tokens(part.text)


def history_told(prompt: Prompt, answer: Answer, model: Model) -> list[str]:
    """Return how many earlier turns were sent, what they cost, and how many had no room."""
    told = []
    if prompt.history:
        count = len(prompt.history)
        earlier = "1 earlier turn was" if count == 1 else f"{count} earlier turns were"
        taken = [each for each in shares(prompt, answer, model) if each.part.kind == "history"]
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
        if each.part.image and each.part.kind == "image"
    ]
