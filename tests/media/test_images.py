"""Test images in a prompt: accepted values, scaling, models without vision."""

import base64
import io
import sys
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL import Image as Pillow

from cfai_magics.errors import InvalidOptionError
from cfai_magics.media import images
from cfai_magics.media.images import (
    MAX_BYTES,
    MAX_SIDE_PIXELS,
    figure_bytes,
    is_figure,
    prepare_image,
)
from tests.kernels import Kernel, running_kernel
from tests.standin import Standin

pytestmark = pytest.mark.slow

NOISE = Pillow.effect_noise((1_600, 800), 90).convert("RGB")


def encode(picture: Pillow.Image, image_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, image_format, **options)
    return file.getvalue()


def plain(width: int = 60, height: int = 40, mode: str = "RGB") -> Pillow.Image:
    return Pillow.new(mode, (width, height), 1)


def decode(sent: images.Image) -> Pillow.Image:
    return Pillow.open(io.BytesIO(sent.data))


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP"])
def test_a_small_image_is_sent_unchanged(image_format: str) -> None:
    data = encode(plain(), image_format)
    sent = prepare_image("it", data)
    assert (sent.data, sent.image_format, sent.size_text) == (data, image_format.lower(), "60×40")
    assert (
        sent.data_url
        == f"data:image/{image_format.lower()};base64,{base64.b64encode(data).decode()}"
    )
    assert sent.estimated_tokens == 3 * 2


@pytest.mark.parametrize(
    ("picture", "image_format"),
    [
        (plain(3_000, 1_500), "PNG"),
        (plain(3_000, 1_500, "P"), "GIF"),
        (plain(3_000, 1_500, "CMYK"), "JPEG"),
        (NOISE, "PNG"),
        (NOISE.convert("RGBA"), "PNG"),
        (plain(mode="LA"), "TIFF"),
    ],
    ids=["plain", "palette", "cmyk", "photo", "alpha", "grey"],
)
def test_large_or_uncommon_images_are_scaled_and_converted(
    picture: Pillow.Image, image_format: str
) -> None:
    sent = prepare_image("it", encode(picture, image_format))
    assert decode(sent).size == (sent.width, sent.height)
    assert decode(sent).format.lower() == sent.image_format
    assert max(sent.width, sent.height) <= MAX_SIDE_PIXELS
    assert len(sent.data) <= MAX_BYTES
    if max(picture.size) > MAX_SIDE_PIXELS:
        assert (
            sent.size_text == f"1,024×512, scaled down from {picture.width:,}×{picture.height:,}"
        )


def test_exif_metadata_is_not_sent() -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    exif[0x010F] = "a camera"
    sent = prepare_image("it", encode(plain(), "JPEG", exif=exif))
    assert not decode(sent).getexif()
    assert (sent.width, sent.height) == (40, 60)


@pytest.mark.parametrize("data", [b"", b"text", b"\x89PNG\r\n\x1a\nbroken", b"\xff\xd8\xff"])
def test_invalid_image_data_raises_an_error(data: bytes) -> None:
    with pytest.raises(InvalidOptionError, match="it can't be read as an image"):
        prepare_image("it", data)


@pytest.fixture
def without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "find_spec", lambda _: None)


@pytest.mark.usefixtures("without_pillow")
@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_without_pillow_only_small_png_and_jpeg_images_are_accepted(image_format: str) -> None:
    sent = prepare_image(
        "it",
        encode(plain(), image_format, **({"progressive": True} if image_format == "JPEG" else {})),
    )
    assert (sent.width, sent.height, sent.image_format) == (60, 40, image_format.lower())
    with pytest.raises(
        InvalidOptionError, match=r"(?s)it is too large: 3,000×10 pixels, .*pip install pillow"
    ):
        prepare_image("it", encode(plain(3_000, 10), image_format))
    with pytest.raises(InvalidOptionError, match="it is not a PNG or JPEG image"):
        prepare_image("it", encode(plain(), "GIF"))


def test_figures_axes_and_image_objects_are_accepted() -> None:
    from IPython.display import Image as DisplayImage

    figure = Figure(figsize=(2, 1))
    axes = figure.subplots()
    for value in (figure, axes, plain(), DisplayImage(data=encode(plain(), "PNG"))):
        assert is_figure(value)
        assert prepare_image("it", figure_bytes(value) or b"").image_format == "png"
    assert figure_bytes(DisplayImage(url="https://example.com/a.png")) is None
    assert not any(map(is_figure, ("text", 1, None, Figure, [figure])))


# --- in a kernel


@pytest.fixture(scope="module")
def module_kernel(module_kernel: Kernel) -> Kernel:
    module_kernel.run("%matplotlib inline\nimport matplotlib.pyplot as plt")
    return module_kernel


@pytest.fixture
def account(module_cloudflare: Standin) -> Standin:
    module_cloudflare.clear()
    module_cloudflare.switch(answer=None)
    return module_cloudflare


@pytest.fixture
def kernel(module_kernel: Kernel, account: Standin) -> Kernel:
    return module_kernel


def sent_parts(account: Standin) -> list[Any]:
    content = account.requests[-1].json["messages"][-1]["content"]
    assert isinstance(content, list)
    return [part.get("text") or sent_picture(part) for part in content]


def sent_picture(part: dict[str, Any]) -> Pillow.Image:
    head, _, data = part["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    return Pillow.open(io.BytesIO(base64.b64decode(data)))


def test_the_last_figure_is_sent_and_its_cost_is_shown(kernel: Kernel, account: Standin) -> None:
    kernel.run("plt.figure(figsize=(2, 1)); plt.plot([1, 2]);")
    cell = kernel.run("%%cfai --image last\nWhat is this?")
    text, picture = sent_parts(account)
    assert text == "What is this?"
    assert picture.size[0] > picture.size[1]
    size = f"{picture.size[0]}×{picture.size[1]}"
    assert f"Image the last figure: {size}, about 256 of 260 input tokens, " in cell.html
    assert "an estimated" in cell.html


def test_the_result_of_a_cell_can_be_the_last_figure(kernel: Kernel, account: Standin) -> None:
    kernel.run("from PIL import Image\nImage.new('RGB', (30, 20))")
    kernel.run("%%cfai --image last\nWhat?")
    assert sent_parts(account)[1].size == (30, 20)


def test_files_variables_and_expressions_are_sent_in_order(
    kernel: Kernel, account: Standin, tmp_path: Path
) -> None:
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"{number}.png")
        plain(10 + number, 10).save(paths[-1])
    kernel.run(f"picture = {str(paths[1])!r}\ndata = open({str(paths[2])!r}, 'rb').read()")
    kernel.run(
        f"%%cfai --image {paths[0]} --image picture --image data --image 'plt.figure()'\nGo"
    )
    assert [part.size[0] for part in sent_parts(account)[1:4]] == [10, 11, 12]


def test_an_image_url_is_downloaded_by_the_kernel(
    kernel: Kernel, account: Standin, tmp_path: Path
) -> None:
    plain(33, 10).save(tmp_path / "a.png")
    server_code = (
        "import functools, http.server, threading\n"
        "handler = functools.partial(http.server.SimpleHTTPRequestHandler, "
        f"directory={str(tmp_path)!r})\n"
        "handler.func.log_message = lambda *_: None\n"
        "server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)\n"
        "threading.Thread(target=server.serve_forever, daemon=True).start()\n"
        "print(server.server_port)"
    )
    port = kernel.run(server_code).text.strip()
    kernel.run(f"%%cfai --image http://127.0.0.1:{port}/a.png\nWhat?")
    assert sent_parts(account)[1].size == (33, 10)
    cell = kernel.run(f"%%cfai --image http://127.0.0.1:{port}/none.png\nWhat?")
    assert cell.ename == "InvalidOptionError"
    assert "can't be downloaded" in cell.traceback[0]
    assert "404" in cell.traceback[0]


def test_a_figure_in_the_prompt_is_sent_in_its_place(kernel: Kernel, account: Standin) -> None:
    kernel.run("fig, axes = plt.subplots(figsize=(1, 1)); plt.close()")
    kernel.run("%%cfai\nIs {{fig}} like {{axes}}?")
    first, figure, second, same, end = sent_parts(account)
    assert (first, second, end) == ("Is ", " like ", "?")
    assert figure.size == same.size


def test_a_thread_sends_its_images_again(kernel: Kernel, account: Standin) -> None:
    kernel.run("from PIL import Image\npicture = Image.new('RGB', (280, 28))")
    kernel.run("%%cfai -c seen --image picture\nWhat is this?")
    cell = kernel.run("%%cfai -c seen\nAnd what not?")
    assert isinstance(account.requests[-1].json["messages"][0]["content"], list)
    assert "1 earlier turn resent: about 2" in cell.html


def test_a_model_without_vision_is_rejected_before_sending(
    kernel: Kernel, account: Standin
) -> None:
    line = "-m llama-3.2-3b-instruct"
    for code in (f"%%cfai {line} --image no-such-file\nWhat?", f"%%cfai {line}\n{{{{picture}}}}"):
        cell = kernel.run(code)
        assert cell.ename == "VisionNotSupportedError"
        assert "llama-3.2-3b-instruct can't see images" in cell.traceback[0]
        assert "gemma-4-26b-a4b-it" in cell.traceback[0]
        assert len(cell.traceback) == 1
    assert account.requests == ()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("no-such.png", "--image no-such.png: No such file"),
        ("kernel_name", "--image kernel_name: No such file"),
        ("number", "--image number: int is not an image"),
        ("http://127.0.0.1:9/a.png", "can't be downloaded"),
        ("data:image/png;base64,!!!", "not valid base64"),
        ("text", "no such words: No such file"),
    ],
)
def test_an_invalid_image_option_is_rejected_before_sending(
    kernel: Kernel, account: Standin, word: str, message: str
) -> None:
    kernel.run("number = 3; text = 'no such words'")
    cell = kernel.run(f"%%cfai --image {word}\nWhat?")
    assert cell.ename == "InvalidOptionError"
    assert message in cell.traceback[0]
    assert account.requests == ()


def test_the_last_figure_requires_a_shown_figure(account: Standin) -> None:
    with running_kernel() as kernel:
        kernel.run("%load_ext cfai_magics")
        cell = kernel.run("%%cfai --image last\nWhat?")
    assert "--image last: no figure has been shown yet" in cell.traceback[0]


def test_loading_imports_no_optional_library(home: Path) -> None:
    import subprocess

    code = (
        "import sys\nfrom IPython.core.interactiveshell import InteractiveShell\n"
        "InteractiveShell.instance().run_line_magic('load_ext', 'cfai_magics')\n"
        "print({'PIL', 'matplotlib', 'pandas', 'pydantic', 'jsonschema'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
