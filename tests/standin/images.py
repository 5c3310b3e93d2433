"""Valid PNG and baseline JPEG images in one gray, created without a library."""

import struct
import zlib

# A Huffman table with two codes: "0" for no further bits, "10" for the size of the first DC.
DC_TABLE = bytes([1, 1, *[0] * 14, 0x00, 0x07])
AC_TABLE = bytes([1, *[0] * 15, 0x00])
BLOCK = 8


def png(width: int, height: int, gray: int) -> bytes:
    """Return a PNG of this size in one gray."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = (b"\0" + bytes([gray]) * width) * height
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return one chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def jpeg(width: int, height: int) -> bytes:
    """Return a JPEG of this size in one light gray."""
    frame = struct.pack(">BHHB3B", 8, height, width, 1, 1, 0x11, 0)
    segments = (
        (0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
        (0xDB, b"\0" + b"\1" * 64),
        (0xC0, frame),
        (0xC4, b"\0" + DC_TABLE),
        (0xC4, b"\x10" + AC_TABLE),
        (0xDA, b"\1\1\0\0\x3f\0"),
    )
    head = b"".join(jpeg_segment(*segment) for segment in segments)
    return b"\xff\xd8" + head + jpeg_scan(width, height) + b"\xff\xd9"


def jpeg_segment(marker: int, data: bytes) -> bytes:
    """Return one segment with its marker and length."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def jpeg_scan(width: int, height: int) -> bytes:
    """Return the bits of all blocks: the first sets the gray, the others do not differ."""
    blocks = -(-width // BLOCK) * -(-height // BLOCK)
    # Size 7 ("10"), difference 100 in seven bits, end of block ("0"); then "0" and "0" per block.
    bits = "10" + f"{100:07b}" + "0" + "00" * (blocks - 1)
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return data.replace(b"\xff", b"\xff\0")
