"""Native tasks that generate, classify or describe images."""

import base64
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from . import images
from .errors import refusal
from .job import Done, Job
from .payload import binary

TILE_PIXELS = 512 * 512
# Default edge and steps, derived from recorded bills.
DEFAULTS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"flux-1-schnell": (1024, 4), "lucid-origin": (1120, 15), "flux-2-dev": (1024, 50)}
)
OTHER_DEFAULTS = (1024, 25)


def image(job: Job) -> Done:
    """Return an image of the requested size: binary, or as base64 in JSON."""
    by_form = "/flux-2-" in job.model.name
    if by_form and not job.payload.multipart:
        raise refusal(5006, "Bad input: Error: required properties at '/' are 'multipart'")
    job.payload.need("prompt")
    edge, steps = DEFAULTS.get(job.model.name.rpartition("/")[2], OTHER_DEFAULTS)
    size = job.payload.number("width", edge), job.payload.number("height", edge)
    work = image_work(job, size[0] * size[1] / TILE_PIXELS, steps)
    if by_form or job.model.name.endswith(("/flux-1-schnell", "/lucid-origin")):
        return Done({"image": base64.b64encode(images.jpeg(*size)).decode()}, work=work)
    if job.model.name.endswith("/phoenix-1.0"):
        return Done(data=images.jpeg(*size), content_type="image/jpeg", work=work)
    gray = len(job.payload.text("prompt")) % 256
    return Done(data=images.png(*size, gray), content_type="image/png", work=work)


def image_work(job: Job, tiles: float, default_steps: int) -> dict[str, float]:
    """Return the work of an image; steps are priced per tile, and tiles are fractional."""
    steps = job.payload.number("steps", job.payload.number("num_steps", default_steps))
    megapixels, inputs = tiles / 4, len(job.payload.files)
    return {
        "512x512 tile": tiles,
        "step (per tile)": tiles * steps,
        "input 512x512 tile, per step": inputs * tiles * steps,
        "output 512x512 tile, per step": tiles * steps,
        "input 512x512 tile": inputs * tiles,
        "output 512x512 tile": tiles,
        "first MP (1024x1024)": 1.0,
        "subsequent MP": max(0.0, megapixels - 1),
        "input image MP": inputs * megapixels,
    }


def see(job: Job) -> Done:
    """Return the classes of an image, or objects with their boxes."""
    if not job.payload.data:
        job.payload.need("image")
        binary(job.payload.fields["image"])
    found: list[dict[str, Any]] = [
        {"label": "TABBY", "score": 0.81},
        {"label": "CAT", "score": 0.14},
    ]
    if job.model.task == "Object Detection":
        box = {"xmin": 1, "ymin": 1, "xmax": 8, "ymax": 8}
        found = [{**one, "box": box} for one in found]
    return Done(found, work={"M images": 1e-6})


def describe(job: Job) -> Done:
    """Return a description of an image; moondream's complete answers are empty, as recorded."""
    if "moondream" in job.model.name:
        return Done({})
    if not job.payload.data:
        job.payload.need("image")
    return Done({"description": " " + job.say(job.payload.text("prompt"), "A small grey square.")})
