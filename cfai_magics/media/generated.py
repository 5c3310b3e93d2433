"""Images and sounds that a model generated: detect their type, display and save them."""

import base64
import io
import struct
import wave
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from ..errors import InvalidOptionError
from ..i18n import _, mark
from ..markdown.escaping import escape_html
from ..paths import parse_user_path
from ..terminal import sanitize_line
from .images import read_image_size

AUDIO_FORMATS = mark("WAV, MP3, FLAC, Ogg, M4A or WebM")
AUDIO_MAGIC = (
    (b"RIFF", "audio/wav"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"\x1aE\xdf\xa3", "audio/webm"),
)
# kbit/s by the four bits of the frame header, for layer III of MPEG 1, and of MPEG 2 and 2.5.
BIT_RATES = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
SAMPLE_RATES = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8_000),
}
OPUS_SAMPLE_RATE = 48_000  # of the positions in Ogg Opus, whatever the original rate
MAX_INLINE_BYTES = 5_000_000  # outputs are saved in the notebook, a third larger as base64
INLINE_IMAGE_TYPES = {"image/png", "image/jpeg"}  # supported by all front ends
SUFFIXES = {"jpeg": "jpg", "mpeg": "mp3", "mp4": "m4a"}


def audio_mime(data: bytes) -> str:
    """Return the MIME type of audio data; "" if the format is unknown."""
    if data[4:8] == b"ftyp":
        return "audio/mp4"
    if next(_iter_mp3_frames(data[:4], 0), None):
        return "audio/mpeg"
    mime_type = next((kind for magic, kind in AUDIO_MAGIC if data.startswith(magic)), "")
    return "" if mime_type == "audio/wav" and data[8:12] != b"WAVE" else mime_type


def audio_duration(data: bytes) -> float | None:
    """Return the duration of audio data in seconds; None if it can't be determined."""
    read_duration = DURATION_READERS.get(audio_mime(data))
    try:
        return read_duration(data) if read_duration else None
    except (struct.error, wave.Error, EOFError, ValueError, ArithmeticError, IndexError):
        return None


def _wav_duration(data: bytes) -> float:
    with wave.open(io.BytesIO(data)) as file:
        return float(file.getnframes() / file.getframerate())


def _mp3_duration(data: bytes) -> float | None:
    """Add up the frames, which is correct for variable bit rates too."""
    offset = 0
    if data.startswith(b"ID3"):
        high, upper, lower, low = data[6:10]
        offset = 10 + (high << 21 | upper << 14 | lower << 7 | low)
    return sum(seconds for _, seconds in _iter_mp3_frames(data, offset)) or None


def _iter_mp3_frames(data: bytes, offset: int) -> Iterator[tuple[int, float]]:
    """Yield the bytes and seconds of each MP3 frame from `offset` to the first invalid one."""
    while offset + 4 <= len(data):
        header = int.from_bytes(data[offset : offset + 4])
        version, bit_rate_index, sample_rate_index = (
            header >> 19 & 3,
            header >> 12 & 15,
            header >> 10 & 3,
        )
        is_frame = header >> 21 == 0x7FF and header >> 17 & 3 == 1  # noqa: PLR2004 - sync, layer III
        if not is_frame or version == 1 or bit_rate_index in {0, 15} or sample_rate_index == 3:  # noqa: PLR2004
            return
        sample_rate, kilobits = (
            SAMPLE_RATES[version][sample_rate_index],
            BIT_RATES[version != 3][bit_rate_index],  # noqa: PLR2004 - not MPEG 1
        )
        samples = 1152 if version == 3 else 576  # noqa: PLR2004 - MPEG 1
        size = samples // 8 * kilobits * 1000 // sample_rate + (header >> 9 & 1)
        yield size, samples / sample_rate
        offset += size


def _flac_duration(data: bytes) -> float | None:
    """Read STREAMINFO: in eight bytes, the first 20 bits are the rate, the last 36 the samples."""
    stream_info = int.from_bytes(data[18:26])
    return (stream_info & (1 << 36) - 1) / (stream_info >> 44) or None


def _ogg_duration(data: bytes) -> float | None:
    """Divide the position of the last page by the sample rate in the first page."""
    last_page = data.rfind(b"OggS")
    position = struct.unpack("<q", data[last_page + 6 : last_page + 14])[0]
    vorbis = data.find(b"\x01vorbis", 0, 512)
    rate = (
        OPUS_SAMPLE_RATE if vorbis < 0 else struct.unpack("<I", data[vorbis + 12 : vorbis + 16])[0]
    )
    return position / rate if position > 0 else None


def _mp4_duration(data: bytes) -> float | None:
    """Read time scale and duration from the movie header, which has two versions."""
    offset = data.find(b"mvhd") + 4
    if offset < 4:  # noqa: PLR2004 - it is not there
        return None
    struct_format, header_bytes = (">IQ", 20) if data[offset] == 1 else (">II", 12)
    time_scale, duration = struct.unpack_from(struct_format, data, offset + header_bytes)
    return duration / time_scale or None


DURATION_READERS: Mapping[str, Callable[[bytes], float | None]] = {
    "audio/wav": _wav_duration,
    "audio/mpeg": _mp3_duration,
    "audio/flac": _flac_duration,
    "audio/ogg": _ogg_duration,
    "audio/mp4": _mp4_duration,
}


@dataclass(frozen=True, slots=True, repr=False)
class GeneratedMedia:
    """A generated image or sound: its `data`, MIME type and prompt.

    A notebook displays it; `save` writes it to a file.
    """

    data: bytes
    mime_type: str
    prompt: str = ""

    @property
    def suffix(self) -> str:
        """The file name extension without the dot."""
        name = self.mime_type.partition("/")[2]
        return SUFFIXES.get(name, name)

    @property
    def size_text(self) -> str:
        """Its size in pixels or seconds as text; "" if unknown."""
        return ""

    def save(self, path: str | Path) -> Path:
        """Write the data to a file and return its path.

        Raises:
            InvalidOptionError: The file can't be written.
        """
        return write_file(self.data, path)

    def __str__(self) -> str:
        parts = (self.mime_type, self.size_text, f"{len(self.data):,} bytes")
        return sanitize_line(f"[{', '.join(part for part in parts if part)}]")

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, **_kwargs: Any) -> dict[str, Any]:
        """Return the MIME bundle for the notebook; only a message if the data is too large."""
        if len(self.data) <= MAX_INLINE_BYTES:
            return {
                **self._mime_bundle(base64.b64encode(self.data).decode()),
                "text/plain": str(self),
            }
        message = _(
            "{media} is not displayed: files of more than {limit:.0f} MB would make the notebook "
            "too large. Call .save(path) to write it to a file."
        ).format(media=self, limit=MAX_INLINE_BYTES / 1e6)
        return {"text/html": f"<div>{escape_html(message)}</div>", "text/plain": message}

    def _mime_bundle(self, base64_data: str) -> dict[str, str]:
        return {self.mime_type: base64_data}

    def _data_url(self, base64_data: str) -> str:
        return f"data:{escape(self.mime_type)};base64,{base64_data}"


class GeneratedImage(GeneratedMedia):
    """A generated image."""

    __slots__ = ()

    @property
    def size_text(self) -> str:
        """Its size in pixels as text; "" if unknown."""
        pixel_size = read_image_size(self.data)
        if not pixel_size:
            return ""
        width, height = pixel_size
        return _("{width:,}×{height:,} pixels").format(width=width, height=height)

    def _mime_bundle(self, base64_data: str) -> dict[str, str]:
        if self.mime_type in INLINE_IMAGE_TYPES:
            return {self.mime_type: base64_data}
        url = self._data_url(base64_data)
        return {"text/html": f'<img alt="{escape(self.prompt)}" src="{url}">'}


class GeneratedAudio(GeneratedMedia):
    """A generated sound."""

    __slots__ = ()

    @property
    def size_text(self) -> str:
        """Its duration in seconds as text; "" if unknown."""
        duration = audio_duration(self.data)
        return "" if duration is None else _("{seconds:,.1f} s").format(seconds=duration)

    def _mime_bundle(self, base64_data: str) -> dict[str, str]:
        title, url = escape(self.prompt), self._data_url(base64_data)
        return {"text/html": f'<audio controls title="{title}" src="{url}"></audio>'}


def detect_media(data: bytes, content_type: str, prompt: str = "") -> GeneratedMedia | None:
    """Return data as an image or sound, by its first bytes or content type; None if neither."""
    if read_image_size(data):
        return GeneratedImage(
            data, "image/png" if data.startswith(b"\x89PNG") else "image/jpeg", prompt
        )
    if content_type.startswith("image/"):
        return GeneratedImage(data, content_type, prompt)
    audio_type = audio_mime(data) or (content_type if content_type.startswith("audio/") else "")
    return GeneratedAudio(data, audio_type, prompt) if audio_type else None


def write_file(content: bytes, path: str | Path) -> Path:
    """Write bytes to a file and return its path.

    Raises:
        InvalidOptionError: The file can't be written.
    """
    target = parse_user_path(path)
    try:
        target.write_bytes(content)
    except OSError as error:
        raise InvalidOptionError(
            _("{path} can't be written: {reason}").format(path=target, reason=error.strerror),
            _("Choose another path."),
        ) from None
    return target
