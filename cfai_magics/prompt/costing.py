"""Owns which part of a prompt took which tokens, and what they cost: estimated from the whole."""

from dataclasses import dataclass, replace

from ..neurons.pricing import Rates, list_rates
from ..neurons.tokens import guessed_tokens
from ..values import Answer, Model, Usage
from .parts import Part, Prompt


@dataclass(frozen=True, slots=True)
class Share:
    """What one part of a call took: its tokens, and its neurons where there is a price."""

    part: Part | None  # None is the answer
    tokens: int
    neurons: float | None


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent with one question, and the answer it was sent for."""

    prompt: Prompt
    answer: Answer
    model: Model

    @property
    def shares(self) -> tuple[Share, ...]:
        """The parts and the answer, whose neurons together are those of the call."""
        rates = _rates(self.answer, self.model)
        tokens = self.answer.usage.completion_tokens
        cost = rates.neurons(Usage(completion_tokens=tokens)) if rates else None
        found = (*shares(self.prompt, self.answer, self.model), Share(None, tokens, cost))
        whole = sum(share.neurons or 0.0 for share in found)
        if not whole or self.answer.neurons is None:
            return found
        factor = self.answer.neurons / whole
        return tuple(replace(each, neurons=(each.neurons or 0.0) * factor) for each in found)

    def part_of_cost(self, share: Share) -> float | None:
        """Return which part of the cost a share is, from 0 to 1; None where there is no price."""
        whole = sum(each.neurons or 0.0 for each in self.shares)
        return share.neurons / whole if share.neurons is not None and whole else None


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
    rates = _rates(answer, model)

    def share(part: Part, size: int) -> Share:
        tokens = round(size * (of_images if part.image else of_texts))
        return Share(part, tokens, rates.neurons(Usage(tokens)) if rates else None)

    return tuple(map(share, parts, guessed))


def _rates(answer: Answer, model: Model) -> Rates | None:
    return None if answer.local else list_rates(model)


def guessed_prompt_tokens(prompt: Prompt) -> int:
    """Return about how many tokens a prompt has, images included."""
    return sum(map(_guessed, prompt.parts))


def _guessed(part: Part) -> int:
    return part.image.tokens if part.image else guessed_tokens(part.text)
