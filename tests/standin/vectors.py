"""Deterministic embedding vectors; texts that share words have a higher similarity."""

import hashlib
import math
import random
import re

WORD_WEIGHT = 4.0
PLACES_OF_A_WORD = 8


def vector(model: str, text: str, dimensions: int) -> list[float]:
    """Return a vector of length 1: the words have more weight than the text as a whole."""
    noise = seeded(model, text)
    numbers = [noise.uniform(-0.5, 0.5) for _ in range(dimensions)]
    for word in re.findall(r"\w+", text.lower()):
        places = seeded(model, "word", word)
        for _ in range(PLACES_OF_A_WORD):
            numbers[places.randrange(dimensions)] += places.choice((-WORD_WEIGHT, WORD_WEIGHT))
    length = math.sqrt(sum(number * number for number in numbers))
    return [round(number / length, 8) for number in numbers]


def similarity(model: str, one: str, other: str, dimensions: int = 256) -> float:
    """Return the similarity of two texts, from -1 to 1."""
    pairs = zip(vector(model, one, dimensions), vector(model, other, dimensions), strict=True)
    return sum(left * right for left, right in pairs)


def seeded(*parts: str) -> random.Random:
    """Return a random generator that is seeded with these texts."""
    return random.Random(hashlib.sha256("\0".join(parts).encode()).digest())
