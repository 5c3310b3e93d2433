"""Valid PNG, JPEG, MP3 and WAV files, created without a library.

The images have one gray and the sounds are silent.
"""

import io
import struct
import wave
import zlib

# A Huffman table with two codes: "0" for no further bits, "10" for the size of the first DC.
_DC_TABLE = bytes([1, 1, *[0] * 14, 0x00, 0x07])
_AC_TABLE = bytes([1, *[0] * 15, 0x00])
_BLOCK = 8
# MPEG 1, layer III, 128 kbit/s, 44.1 kHz, one channel: a frame of zeros is silence.
_MP3_HEADER = b"\xff\xfb\x90\xc0"
_MP3_FRAME = _MP3_HEADER + bytes(417 - len(_MP3_HEADER))
_MP3_FRAME_SECONDS = 1152 / 44_100
_COMPRESSED_BYTES_PER_SECOND = 16_000
_WAV_RATE = 16_000
_SECONDS_PER_CHARACTER = 0.06


def png(width: int, height: int, gray: int) -> bytes:
    """Return a PNG of this size in one gray."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = (b"\0" + bytes([gray]) * width) * height
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(*chunk) for chunk in chunks)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return one chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def jpeg(width: int, height: int) -> bytes:
    """Return a baseline JPEG of this size in one light gray."""
    frame = struct.pack(">BHHB3B", 8, height, width, 1, 1, 0x11, 0)
    segments = (
        (0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
        (0xDB, b"\0" + b"\1" * 64),
        (0xC0, frame),
        (0xC4, b"\0" + _DC_TABLE),
        (0xC4, b"\x10" + _AC_TABLE),
        (0xDA, b"\1\1\0\0\x3f\0"),
    )
    head = b"".join(
        bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data
        for marker, data in segments
    )
    return b"\xff\xd8" + head + _jpeg_scan(width, height) + b"\xff\xd9"


def _jpeg_scan(width: int, height: int) -> bytes:
    """Return the bits of all blocks: the first sets the gray, the others do not differ."""
    blocks = -(-width // _BLOCK) * -(-height // _BLOCK)
    # Size 7 ("10"), difference 100 in seven bits, end of block ("0"); then "0" and "0" per block.
    bits = "10" + f"{100:07b}" + "0" + "00" * (blocks - 1)
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")


def spoken_seconds(text: str) -> float:
    """Return the estimated duration of a spoken text, in seconds."""
    return max(0.5, len(text) * _SECONDS_PER_CHARACTER)


def mp3(seconds: float) -> bytes:
    """Return silence of this duration as MP3."""
    return _MP3_FRAME * max(1, round(seconds / _MP3_FRAME_SECONDS))


def wav(seconds: float) -> bytes:
    """Return silence of this duration as WAV."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_WAV_RATE)
        file.writeframes(bytes(2 * int(seconds * _WAV_RATE)))
    return buffer.getvalue()


def duration(sound: bytes) -> float:
    """Return the seconds of a sound: exact for WAV, estimated by size for other formats."""
    try:
        with wave.open(io.BytesIO(sound)) as file:
            return float(file.getnframes() / file.getframerate())
    except (wave.Error, EOFError):
        return len(sound) / _COMPRESSED_BYTES_PER_SECOND
