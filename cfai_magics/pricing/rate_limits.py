"""The rate limits of Workers AI: requests per minute, by model."""

from typing import NamedTuple

from ..types.usage import CHAT_TASK, Model

# From Cloudflare's page on limits, which lists none for text to speech.
REQUESTS_PER_MINUTE_BY_TASK = {
    "Automatic Speech Recognition": 720,
    "Image Classification": 3000,
    "Image-to-Text": 720,
    "Object Detection": 3000,
    "Summarization": 1500,
    "Text Classification": 2000,
    "Text Embeddings": 3000,
    CHAT_TASK: 300,
    "Text-to-Image": 720,
    "Translation": 720,
}
PAID_MODEL_REQUESTS_PER_MINUTE = 20  # per model that requires the paid plan
WINDOW_SECONDS = 61.0  # s: one minute, and one second for the network latency of a request


class RateDelay(NamedTuple):
    """The seconds that a request has to wait for a rate limit, and the reason."""

    seconds: float
    cause: str


class RateLimit(NamedTuple):
    """One rate limit: the task or model that it applies to, and its requests per minute."""

    name: str
    requests_per_minute: int

    @property
    def message(self) -> str:
        """Why a request has to wait for this limit."""
        return f"Workers AI takes {self.requests_per_minute:,} requests a minute of {self.name}"


def rate_limit_for(model: Model) -> RateLimit | None:
    """Return the rate limit of a model; None if no limit is known."""
    if model.paid_plan_only:
        return RateLimit(model.short_name, PAID_MODEL_REQUESTS_PER_MINUTE)
    limit = REQUESTS_PER_MINUTE_BY_TASK.get(model.task or CHAT_TASK)
    return RateLimit(model.task or CHAT_TASK, limit) if limit else None
