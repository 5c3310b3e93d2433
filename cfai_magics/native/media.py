"""The native tasks with images and sounds: image, speech, transcribe, describe."""

from collections.abc import Callable

from ..asking.attachments import Wanted
from ..errors import BadOption
from ..media.made import Picture
from ..media.sounds import KINDS, sound_kind
from ..render.formats import Bundle
from ..values import Answer
from ..values.results import RawResult
from ..workers_ai import jobs
from ..workers_ai.work import Job, knows_steps, work_of
from .given import Given
from .task import Made, Task, always, count, only, text

SOUND = Wanted("--task transcribe", f"Name a file, an address or a variable with {KINDS}.")


def _picture(model: str, given: Given) -> Job:
    seed = {} if given.options.seed is None else {"seed": given.options.seed}
    return jobs.picture_job(model, text(given), given.images, {**seed, **given.fields})


def _pixels(job: Job, reply: RawResult) -> str:
    """Return the size of the image that is asked for or was made, and its steps."""
    work = work_of(job, reply)
    picture = jobs.made(reply, "image", "") if reply.result or reply.content else None
    sides = [job.fields.get(name, round(work.pixels**0.5)) for name in ("width", "height")]
    size = (
        picture.size if isinstance(picture, Picture) else "×".join(map(_number, sides)) + " pixels"
    )
    return f"{size}, {work.steps} steps" if knows_steps(job) else size


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _speech(model: str, given: Given) -> Job:
    return jobs.speech_job(model, text(given), given.fields)


def _spoken(job: Job, reply: RawResult) -> str:
    sound = jobs.made(reply, "audio", "") if reply.result or reply.content else None
    length = f" → {sound.size}" if sound and sound.size else ""
    return f"{work_of(job).characters:,} characters{length}"


def _made(field: str) -> Callable[[RawResult, Given], Made]:
    def read(reply: RawResult, given: Given) -> Made:
        found = jobs.made(reply, field, given.text)
        return Made(str(found), found)

    return read


def _media(answer: Answer) -> Bundle:
    shown: Bundle = answer.parsed._repr_mimebundle_()
    return shown


def _hearing(model: str, given: Given) -> Job:
    ((name, sound), *more) = given.files(SOUND)
    if more:
        raise BadOption("--task transcribe hears one sound a cell", "Name one.")
    kind = sound_kind(sound)
    if not kind:
        raise BadOption(f"{name} is no sound that is known", f"It has to be {KINDS}.")
    return jobs.hearing_job(model, sound, kind, given.fields)


def _minutes(job: Job, reply: RawResult) -> str:
    seconds = work_of(job, reply).seconds
    return f"{seconds:,.1f} s of sound" if seconds else "a sound of unknown length"


def _heard(reply: RawResult, _given: Given) -> Made:
    return Made(jobs.heard(reply))


def _description(model: str, given: Given) -> Job:
    images = given.images
    if len(images) != 1:
        raise BadOption("--task describe needs one image", "Name it with --image.")
    limit = {"max_tokens": given.options.max_tokens} if given.options.max_tokens else {}
    return jobs.description_job(model, images[0], text(given), {**limit, **given.fields})


def _described(reply: RawResult, _given: Given) -> Made:
    return Made(jobs.described(reply))


IMAGE = Task(
    "image",
    only("Text-to-Image"),
    always("flux-1-schnell"),
    _picture,
    _made("image"),
    _pixels,
    _media,
    frozenset({"image", "seed", "save"}),
    makes_media=True,
)
SPEECH = Task(
    "speech",
    only("Text-to-Speech"),
    always("melotts"),
    _speech,
    _made("audio"),
    _spoken,
    _media,
    frozenset({"save"}),
    makes_media=True,
)
TRANSCRIBE = Task(
    "transcribe",
    only("Automatic Speech Recognition"),
    always("whisper-large-v3-turbo"),
    _hearing,
    _heard,
    _minutes,
    takes=frozenset({"save"}),
)
DESCRIBE = Task(
    "describe",
    only("Image-to-Text"),
    always("llava-1.5-7b-hf"),
    _description,
    _described,
    count("image", "images"),
    takes=frozenset({"image", "max_tokens"}),
)
