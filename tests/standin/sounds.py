"""Silent MP3 and WAV files created without a library, and the duration of audio."""

import io
import wave

# MPEG 1, layer III, 128 kbit/s, 44.1 kHz, one channel: a frame of zeros is silence.
MP3_HEADER = b"\xff\xfb\x90\xc0"
MP3_FRAME_BYTES = 417
MP3_FRAME_SECONDS = 1152 / 44_100
COMPRESSED_BYTES_PER_SECOND = 16_000
RATE = 16_000
SECONDS_PER_CHARACTER = 0.06


def spoken_seconds(text: str) -> float:
    """Return the estimated duration of a spoken text, in seconds."""
    return max(0.5, len(text) * SECONDS_PER_CHARACTER)


def mp3(seconds: float) -> bytes:
    """Return silence of this duration as MP3."""
    frame = MP3_HEADER + bytes(MP3_FRAME_BYTES - len(MP3_HEADER))
    return frame * max(1, round(seconds / MP3_FRAME_SECONDS))


def wav(seconds: float) -> bytes:
    """Return silence of this duration as WAV."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(bytes(2 * int(seconds * RATE)))
    return buffer.getvalue()


def seconds(sound: bytes) -> float:
    """Return the duration in seconds: exact for WAV, estimated by size for other formats."""
    try:
        with wave.open(io.BytesIO(sound)) as file:
            return float(file.getnframes() / file.getframerate())
    except (wave.Error, EOFError):
        return len(sound) / COMPRESSED_BYTES_PER_SECOND
