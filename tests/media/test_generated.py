"""Test the detection of audio formats and durations, and the display of images."""

import struct
from base64 import b64decode
from collections.abc import Callable

import pytest

from cfai_magics.media.generated import GeneratedImage, audio_duration, audio_mime, detect_media
from cfai_magics.types.messages import Answer
from tests.standin import media


def flac(seconds: int, rate: int = 44_100) -> bytes:
    info = struct.pack(">HH", 4096, 4096) + bytes(6)
    fields = rate << 44 | 1 << 41 | 15 << 36 | rate * seconds
    return b"fLaC\x00\x00\x00\x22" + info + fields.to_bytes(8) + bytes(16)


def page(position: int, body: bytes) -> bytes:
    return b"OggS\0\0" + struct.pack("<q", position) + bytes(12) + b"\x01" + body


def opus(seconds: int) -> bytes:
    return page(0, b"OpusHead" + bytes(11)) + page(48_000 * seconds, b"x" * 99)


def vorbis(seconds: int) -> bytes:
    head = b"\x01vorbis" + struct.pack("<IBI", 0, 1, 22_050)
    return page(0, head) + page(22_050 * seconds, b"x" * 99)


def m4a(seconds: int) -> bytes:
    header = struct.pack(">BxxxIIII", 0, 0, 0, 1000, 1000 * seconds)
    return struct.pack(">I4s4s", 12, b"ftyp", b"M4A ") + b"\0\0\0\0mvhd" + header


def tagged_mp3(seconds: int) -> bytes:
    return b"ID3\x04\x00\x00" + bytes([0, 0, 1, 0]) + bytes(128) + media.mp3(seconds)


@pytest.mark.parametrize(
    ("make", "mime_type"),
    [
        (media.wav, "audio/wav"),
        (media.mp3, "audio/mpeg"),
        (tagged_mp3, "audio/mpeg"),
        (flac, "audio/flac"),
        (opus, "audio/ogg"),
        (vorbis, "audio/ogg"),
        (m4a, "audio/mp4"),
    ],
)
def test_the_format_and_duration_of_a_sound_are_detected(
    make: Callable[[int], bytes], mime_type: str
) -> None:
    assert audio_mime(make(7)) == mime_type
    assert audio_duration(make(7)) == pytest.approx(7, abs=0.02)


@pytest.mark.parametrize(
    "data", [b"", b"Hello", b"RIFF\0\0\0\0AVI ", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"{}"]
)
def test_other_data_has_no_audio_format(data: bytes) -> None:
    assert audio_mime(data) == ""
    assert audio_duration(data) is None


@pytest.mark.parametrize("make", [media.wav, flac, opus, vorbis, m4a, tagged_mp3])
def test_a_truncated_sound_raises_no_error(make: Callable[[int], bytes]) -> None:
    sound = make(1)[:400]
    for end in range(len(sound)):
        audio_duration(sound[:end])


def test_webm_is_detected_without_a_duration() -> None:
    webm = b"\x1aE\xdf\xa3" + bytes(40)
    assert (audio_mime(webm), audio_duration(webm)) == ("audio/webm", None)


@pytest.mark.parametrize(("width", "shown"), [(512, None), (513, 512), (4_096, 512)])
def test_a_wide_image_is_displayed_with_a_width_of_512_pixels(
    width: int, shown: int | None
) -> None:
    image = detect_media(media.png(width, 9, 200), "image/png")
    assert isinstance(image, GeneratedImage)
    bundle, metadata = image._repr_mimebundle_()
    assert b64decode(bundle["image/png"]) == image.data, "the data is unchanged"
    assert metadata == ({"image/png": {"width": shown}} if shown else {})
    answer = Answer("m", "", parsed=image)
    assert answer._repr_mimebundle_()[1].get("image/png") == metadata.get("image/png")


def test_an_image_that_needs_html_is_displayed_with_at_most_512_pixels() -> None:
    image = detect_media(b"RIFF....WEBP", "image/webp", "a <cat>")
    assert image is not None
    html = image._repr_mimebundle_()[0]["text/html"]
    assert 'alt="a &lt;cat&gt;" style="max-width:min(100%,512px)"' in html
