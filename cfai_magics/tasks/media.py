"""Define the image, speech, transcribe and describe tasks."""

from collections.abc import Callable

from ..chat.attachments import AttachmentKind
from ..display.tables import MimeBundle
from ..errors import InvalidOptionError
from ..i18n import _, mark, ngettext
from ..media.generated import AUDIO_FORMATS, GeneratedImage, audio_mime
from ..types.messages import Answer
from ..types.results import TaskResult
from ..workers_ai.task_requests import (
    TaskRequest,
    description_request,
    has_known_steps,
    image_request,
    parse_description,
    parse_media,
    parse_transcript,
    speech_request,
    transcription_request,
    work_units,
)
from .spec import (
    TaskOutput,
    TaskSpec,
    constant_model,
    constant_tasks,
    file_count,
    require_text,
)
from .task_input import TaskInput

AUDIO_ATTACHMENT = AttachmentKind(
    "--task transcribe",
    mark("Specify an audio file such as talk.mp3, a URL, or a variable that contains audio."),
)


def _build_image_request(model: str, task_input: TaskInput) -> TaskRequest:
    seed = {} if task_input.options.seed is None else {"seed": task_input.options.seed}
    return image_request(
        model, require_text(task_input), task_input.images, {**seed, **task_input.fields}
    )


def _format_image_amount(task_request: TaskRequest, task_result: TaskResult) -> str:
    """Return the image size and, if known, the number of steps, as text."""
    units = work_units(task_request, task_result)
    media = (
        parse_media(task_result, "image", "")
        if task_result.result or task_result.content
        else None
    )
    sides = [
        task_request.fields.get(name, round(units.pixels**0.5)) for name in ("width", "height")
    ]
    size = (
        media.size_text
        if isinstance(media, GeneratedImage)
        else _("{size} pixels").format(size="×".join(map(_format_number, sides)))
    )
    if not has_known_steps(task_request):
        return size
    return ngettext("{size}, {count} step", "{size}, {count} steps", units.steps).format(
        size=size, count=units.steps
    )


def _format_number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _build_speech_request(model: str, task_input: TaskInput) -> TaskRequest:
    return speech_request(model, require_text(task_input), task_input.fields)


def _format_speech_amount(task_request: TaskRequest, task_result: TaskResult) -> str:
    audio = (
        parse_media(task_result, "audio", "")
        if task_result.result or task_result.content
        else None
    )
    count = work_units(task_request).characters
    text = ngettext("{count:,} character", "{count:,} characters", count).format(count=count)
    return f"{text} → {audio.size_text}" if audio and audio.size_text else text


def _media_output_parser(field_name: str) -> Callable[[TaskResult, TaskInput], TaskOutput]:
    def parse_output(task_result: TaskResult, task_input: TaskInput) -> TaskOutput:
        media = parse_media(task_result, field_name, task_input.text)
        return TaskOutput(str(media), media)

    return parse_output


def _render_media(answer: Answer) -> MimeBundle:
    bundle: MimeBundle = answer.parsed.mime_bundle
    return bundle


def _build_transcription_request(model: str, task_input: TaskInput) -> TaskRequest:
    ((name, audio), *extra_files) = task_input.load_files(AUDIO_ATTACHMENT)
    if extra_files:
        raise InvalidOptionError(
            _("--task transcribe takes one audio file per cell"), _("Specify only one file.")
        )
    content_type = audio_mime(audio)
    if not content_type:
        raise InvalidOptionError(
            _("{name} is not audio in a supported format").format(name=name),
            _("Use {formats}.").format(formats=_(AUDIO_FORMATS)),
        )
    return transcription_request(model, audio, content_type, task_input.fields)


def _format_audio_amount(task_request: TaskRequest, task_result: TaskResult) -> str:
    seconds = work_units(task_request, task_result).seconds
    if not seconds:
        return _("audio of unknown length")
    return _("{seconds:,.1f} s of audio").format(seconds=seconds)


def _parse_transcript_output(task_result: TaskResult, _task_input: TaskInput) -> TaskOutput:
    return TaskOutput(parse_transcript(task_result))


def _build_description_request(model: str, task_input: TaskInput) -> TaskRequest:
    images = task_input.images
    if len(images) != 1:
        raise InvalidOptionError(
            _("--task describe needs one image"), _("Specify the image with --image.")
        )
    max_tokens_field = (
        {"max_tokens": task_input.options.max_tokens} if task_input.options.max_tokens else {}
    )
    return description_request(
        model, images[0], require_text(task_input), {**max_tokens_field, **task_input.fields}
    )


def _parse_description_output(task_result: TaskResult, _task_input: TaskInput) -> TaskOutput:
    return TaskOutput(parse_description(task_result))


IMAGE_TASK = TaskSpec(
    "image",
    constant_tasks("Text-to-Image"),
    constant_model("flux-1-schnell"),
    _build_image_request,
    _media_output_parser("image"),
    _format_image_amount,
    _render_media,
    frozenset({"image", "seed", "save"}),
    has_media_output=True,
)
SPEECH_TASK = TaskSpec(
    "speech",
    constant_tasks("Text-to-Speech"),
    constant_model("melotts"),
    _build_speech_request,
    _media_output_parser("audio"),
    _format_speech_amount,
    _render_media,
    frozenset({"save"}),
    has_media_output=True,
)
TRANSCRIBE_TASK = TaskSpec(
    "transcribe",
    constant_tasks("Automatic Speech Recognition"),
    constant_model("whisper-large-v3-turbo"),
    _build_transcription_request,
    _parse_transcript_output,
    _format_audio_amount,
    allowed_options=frozenset({"save"}),
)
DESCRIBE_TASK = TaskSpec(
    "describe",
    constant_tasks("Image-to-Text"),
    constant_model("llava-1.5-7b-hf"),
    _build_description_request,
    _parse_description_output,
    file_count(
        lambda count: ngettext("{count:,} image", "{count:,} images", count).format(count=count)
    ),
    allowed_options=frozenset({"image", "max_tokens"}),
)
