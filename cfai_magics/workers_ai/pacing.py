"""Owns how many requests a minute Workers AI takes, and of what: by task, or by model."""

from typing import NamedTuple

from ..values import Model

# As Cloudflare's page on limits has them; it lists none for text to speech.
BY_TASK = {
    "Automatic Speech Recognition": 720,
    "Image Classification": 3000,
    "Image-to-Text": 720,
    "Object Detection": 3000,
    "Summarization": 1500,
    "Text Classification": 2000,
    "Text Embeddings": 3000,
    "Text Generation": 300,
    "Text-to-Image": 720,
    "Translation": 720,
}
PAID_MODELS = 20  # of each model that the free plan has not
WINDOW = 61.0  # s: a minute, and what a request may take on its way there


class Wait(NamedTuple):
    """How many seconds a request has to wait for its turn, and why."""

    seconds: float
    cause: str


class Lane(NamedTuple):
    """What shares one limit: its name, and its requests a minute."""

    name: str
    limit: int

    @property
    def told(self) -> str:
        """Why a request of this lane has to wait."""
        return f"Workers AI takes {self.limit:,} requests a minute of {self.name}"


def lane_of(model: Model) -> Lane | None:
    """Return the lane of a model's requests; None where no limit is known."""
    if model.paid_plan_only:
        return Lane(model.short, PAID_MODELS)
    limit = BY_TASK.get(model.task or "Text Generation")
    return Lane(model.task or "Text Generation", limit) if limit else None
