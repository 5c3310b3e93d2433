"""Owns what a sound's own bytes tell: which kind it is, and how many seconds it lasts."""

import io
import struct
import wave
from collections.abc import Callable, Iterator, Mapping

KINDS = "WAV, MP3, FLAC, Ogg, M4A or WebM"
MAGIC = (
    (b"RIFF", "audio/wav"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"\x1aE\xdf\xa3", "audio/webm"),
)
# Layer III of MPEG 1, and of MPEG 2 and 2.5: kbit/s by the header's four bits.
BIT_RATES = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
SAMPLE_RATES = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8_000),
}
OPUS_RATE = 48_000  # of its positions, whatever the sound's own


def sound_kind(data: bytes) -> str:
    """Return the MIME type of a sound; "" where the bytes are none that is known."""
    if data[4:8] == b"ftyp":
        return "audio/mp4"
    if next(_frames(data[:4], 0), None):
        return "audio/mpeg"
    kind = next((kind for magic, kind in MAGIC if data.startswith(magic)), "")
    return "" if kind == "audio/wav" and data[8:12] != b"WAVE" else kind


def sound_seconds(data: bytes) -> float | None:
    """Return how long a sound lasts; None where its bytes don't tell."""
    read = READERS.get(sound_kind(data))
    try:
        return read(data) if read else None
    except (struct.error, wave.Error, EOFError, ValueError, ArithmeticError, IndexError):
        return None


def _wav(data: bytes) -> float:
    with wave.open(io.BytesIO(data)) as file:
        return float(file.getnframes() / file.getframerate())


def _mp3(data: bytes) -> float | None:
    """Add up the frames: only so are variable bit rates counted right."""
    start = 0
    if data.startswith(b"ID3"):
        high, upper, lower, low = data[6:10]
        start = 10 + (high << 21 | upper << 14 | lower << 7 | low)
    return sum(seconds for _, seconds in _frames(data, start)) or None


def _frames(data: bytes, place: int) -> Iterator[tuple[int, float]]:
    """Yield the bytes and seconds of each frame of an MP3, up to what is none."""
    while place + 4 <= len(data):
        head = int.from_bytes(data[place : place + 4])
        version, rate, sampling = head >> 19 & 3, head >> 12 & 15, head >> 10 & 3
        is_frame = head >> 21 == 0x7FF and head >> 17 & 3 == 1  # noqa: PLR2004 - sync, layer III
        if not is_frame or version == 1 or rate in {0, 15} or sampling == 3:  # noqa: PLR2004
            return
        hertz, bits = SAMPLE_RATES[version][sampling], BIT_RATES[version != 3][rate]  # noqa: PLR2004
        samples = 1152 if version == 3 else 576  # noqa: PLR2004 - MPEG 1
        size = samples // 8 * bits * 1000 // hertz + (head >> 9 & 1)
        yield size, samples / hertz
        place += size


def _flac(data: bytes) -> float | None:
    """Read STREAMINFO: 20 bits of rate, and 36 bits of samples at the end of eight bytes."""
    told = int.from_bytes(data[18:26])
    return (told & (1 << 36) - 1) / (told >> 44) or None


def _ogg(data: bytes) -> float | None:
    """Divide the last page's position by the rate that the first page tells."""
    last = data.rfind(b"OggS")
    position = struct.unpack("<q", data[last + 6 : last + 14])[0]
    vorbis = data.find(b"\x01vorbis", 0, 512)
    rate = OPUS_RATE if vorbis < 0 else struct.unpack("<I", data[vorbis + 12 : vorbis + 16])[0]
    return position / rate if position > 0 else None


def _mp4(data: bytes) -> float | None:
    """Read the movie header: its time scale and duration, in one of two widths."""
    place = data.find(b"mvhd") + 4
    if place < 4:  # noqa: PLR2004 - it is not there
        return None
    form, skipped = (">IQ", 20) if data[place] == 1 else (">II", 12)
    scale, length = struct.unpack_from(form, data, place + skipped)
    return length / scale or None


READERS: Mapping[str, Callable[[bytes], float | None]] = {
    "audio/wav": _wav,
    "audio/mpeg": _mp3,
    "audio/flac": _flac,
    "audio/ogg": _ogg,
    "audio/mp4": _mp4,
}
