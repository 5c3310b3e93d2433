"""Real, silent sound made without a library: MP3 and WAV, and how long a sound lasts."""

import io
import wave

# MPEG 1, layer III, 128 kbit/s, 44.1 kHz, one channel: a frame of zeros is silence.
MP3_HEADER = b"\xff\xfb\x90\xc0"
MP3_FRAME_BYTES = 417
MP3_FRAME_SECONDS = 1152 / 44_100
COMPRESSED_BYTES_A_SECOND = 16_000
RATE = 16_000
SECONDS_A_CHARACTER = 0.06


def spoken_seconds(text: str) -> float:
    """Return about how long it takes to say this."""
    return max(0.5, len(text) * SECONDS_A_CHARACTER)


def mp3(seconds: float) -> bytes:
    """Return silence of this length as MP3."""
    frame = MP3_HEADER + bytes(MP3_FRAME_BYTES - len(MP3_HEADER))
    return frame * max(1, round(seconds / MP3_FRAME_SECONDS))


def wav(seconds: float) -> bytes:
    """Return silence of this length as WAV."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(bytes(2 * int(seconds * RATE)))
    return buffer.getvalue()


def seconds(sound: bytes) -> float:
    """Return how long a sound lasts: exactly for WAV, by its size for all others."""
    try:
        with wave.open(io.BytesIO(sound)) as file:
            return float(file.getnframes() / file.getframerate())
    except (wave.Error, EOFError):
        return len(sound) / COMPRESSED_BYTES_A_SECOND
