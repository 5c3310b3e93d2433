"""Test `--task` in a real kernel: images, audio, translations, embeddings and scores."""

import base64
import json
from pathlib import Path

import pytest

from tests.kernels import Cell, Kernel
from tests.standin import Standin, media


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "talk.wav").write_bytes(media.wav(12))
    (folder / "plot.png").write_bytes(media.png(64, 48, 7))
    (folder / "table.csv").write_text("a,b\n1,2\n")
    (folder / "note.txt").write_text("hi there")
    return folder


@pytest.fixture(scope="module")
def kernel(module_kernel: Kernel, folder: Path) -> Kernel:
    module_kernel.run(f"import os; os.chdir({str(folder)!r})")
    module_kernel.run("texts = ['the cat sat', 'a cat on a mat', 'income tax']")
    return module_kernel


@pytest.fixture
def cloudflare(module_cloudflare: Standin) -> Standin:
    module_cloudflare.clear()
    return module_cloudflare


def footer(cell: Cell) -> str:
    return cell.outputs[-1]["data"]["text/plain"]  # type: ignore[no-any-return]


def test_a_generated_image_is_saved_in_the_notebook(kernel: Kernel, cloudflare: Standin) -> None:
    cell = kernel.run("%%cfai --task image -o pic --seed 3\na {{texts[2].split()[0]}} lighthouse")
    (image,) = cell.mime("image/jpeg")
    assert base64.b64decode(image).startswith(b"\xff\xd8")
    assert "flux-1-schnell · 1,024×1,024 pixels, 4 steps · 173 neurons billed" in footer(cell)
    assert cloudflare.requests[-1].json == {"prompt": "a income lighthouse", "seed": 3}
    again = kernel.run("pic").outputs[0]["data"]
    assert again["image/jpeg"].strip() == image.strip()
    assert "text/markdown" not in again, "front ends would prefer it to the image"


def test_a_generated_image_can_be_reused_and_saved(
    kernel: Kernel, cloudflare: Standin, folder: Path
) -> None:
    kernel.run("%%cfai --task image -o pic -m stable-diffusion-xl-base-1.0\na lighthouse")
    cell = kernel.run(
        "%%cfai --task image -m flux-2-klein-4b --image pic --save new.jpg\nnow at night"
    )
    assert b'name="input_image_0"; filename="pic"' in cloudflare.requests[-1].body_bytes
    assert (folder / "new.jpg").read_bytes().startswith(b"\xff\xd8")
    assert "Saved as new.jpg." in footer(cell)


def test_speech_is_shown_as_a_player_with_its_duration(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cell = kernel.run("%%cfai --task speech -p lang=fr\nBonjour")
    (player,) = cell.mime("text/html")[:1]
    assert player.startswith('<audio controls title="Bonjour" src="data:audio/mpeg;base64,//')
    assert "melotts · 7 characters → 0.5 s" in footer(cell)
    assert cloudflare.requests[-1].json == {"prompt": "Bonjour", "lang": "fr"}


def test_a_sound_too_large_for_a_notebook_is_not_embedded(kernel: Kernel) -> None:
    kernel.run("import cfai_magics.media.generated as generated; generated.MAX_INLINE_BYTES = 100")
    cell = kernel.run("%%cfai --task speech\nBonjour")
    kernel.run("generated.MAX_INLINE_BYTES = 5_000_000")
    assert "<audio" not in cell.mime("text/html")[0]
    assert "Call .save(path) to write it to a file" in cell.mime("text/html")[0]


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("", "talk.wav"),
        ("-m whisper", "talk.wav"),
        ("-m nova-3", "{{open('talk.wav', 'rb').read()}}"),
    ],
)
def test_audio_is_transcribed_with_every_input_format(
    kernel: Kernel, cloudflare: Standin, line: str, body: str
) -> None:
    cell = kernel.run(f"%%cfai --task transcribe {line}\n{body}")
    assert cell.mime("text/markdown") == ["Hello from the stand-in."]
    assert "12.0 s of audio" in footer(cell)
    assert len(cloudflare.requests) == 1


def test_a_translation_sends_both_languages(kernel: Kernel, cloudflare: Standin) -> None:
    cell = kernel.run("%%cfai --task translate --from en --to de\nGood morning")
    assert cell.mime("text/markdown") == ["[de] Good morning"]
    assert "m2m100-1.2b · about 3→5 tokens" in footer(cell)
    assert cloudflare.requests[-1].json == {
        "text": "Good morning",
        "source_lang": "en",
        "target_lang": "de",
    }


def test_embeddings_are_an_array_and_a_similarity_table(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cell = kernel.run("%%cfai --task embed -o v\n{{texts}}\none more")
    assert cloudflare.requests[-1].json["input"] == [
        *("the cat sat", "a cat on a mat", "income tax", "one more"),
    ]
    assert ">1.00</td>" in cell.mime("text/html")[0]
    assert "bge-m3 · about " in footer(cell)
    shape = kernel.run("import numpy; print(numpy.asarray(v.parsed).shape, v.parsed.array.dtype)")
    assert shape.text == "(4, 1024) float64\n"


@pytest.mark.parametrize(
    "expression",
    [
        *("(text for text in texts)", "map(str, texts)", "iter(texts)", "tuple(texts)"),
        *("dict(enumerate(texts)).values()", "dict.fromkeys(texts).keys()", "set(texts)"),
        *("__import__('collections').deque(texts)", "__import__('numpy').array(texts)"),
    ],
)
@pytest.mark.parametrize("task", ["embed", "rerank"])
def test_every_kind_of_list_is_sent_as_one_text_per_item(
    kernel: Kernel, cloudflare: Standin, expression: str, task: str
) -> None:
    query = "cat\n" * (task == "rerank")
    cell = kernel.run(f"%%cfai --task {task} -o result\n{query}{{{{{expression}}}}}")
    assert cell.traceback == []
    sent = cloudflare.requests[-1].json
    texts = [context["text"] for context in sent["contexts"]] if query else sent["input"]
    assert sorted(texts) == ["a cat on a mat", "income tax", "the cat sat"]
    assert kernel.run("print(len(result.parsed))").text == "3\n"


def test_numbers_are_sent_as_text(kernel: Kernel, cloudflare: Standin) -> None:
    kernel.run("%%cfai --task embed\n{{range(2)}}\n{{[float('0.5')]}}")
    assert cloudflare.requests[-1].json["input"] == ["0", "1", "0.5"]


@pytest.mark.parametrize(
    ("line", "body", "first"),
    [
        ("classify", "This is awful", "NEGATIVE  0.980"),
        ("classify --image plot.png", "-", "TABBY  0.810"),
        ("classify -m detr-resnet-50 --image plot.png", "-", "xmin 1, ymin 1"),
        ("rerank", "Where is the cat?\n{{texts}}", "the cat sat"),
        ("rerank -m bge-m3", "Where is the cat?\nincome tax\nthe cat sat", "the cat sat"),
    ],
)
def test_scores_are_shown_as_a_table(kernel: Kernel, line: str, body: str, first: str) -> None:
    cell = kernel.run(f"%%cfai --task {line} -o scores\n{body}")
    assert first in cell.outputs[0]["data"]["text/plain"].splitlines()[1]
    assert cell.mime("text/html")[0].startswith("<table>")
    assert kernel.run("print(scores.parsed[0]['score'] > 0.5)").text == "True\n"


def test_an_image_is_described(kernel: Kernel, cloudflare: Standin) -> None:
    cell = kernel.run("%%cfai --task describe --image plot.png --max-tokens 50\nWhat is it?")
    assert cell.mime("text/markdown") == ["A small grey square."], cell
    sent = cloudflare.requests[-1].json
    assert (sent["prompt"], sent["max_tokens"]) == ("What is it?", 50)
    assert bytes(sent["image"]).startswith(b"\x89PNG")
    empty = kernel.run("%%cfai --task describe -m moondream3.1-9B-A2B --image plot.png\nWhat?")
    assert "The answer is empty." in footer(empty)


def test_documents_become_markdown_and_failures_are_noted(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cell = kernel.run("%%cfai --task markdown -o docs\ntable.csv\nnote.txt\ntalk.wav")
    assert cell.mime("text/markdown")[0].startswith("## table.csv\n\n| a | b |")
    assert "talk.wav was not converted: Unsupported file type" in footer(cell)
    assert kernel.run("print(*docs.parsed)").text == "table.csv note.txt\n"
    assert len(cloudflare.requests) == 1


def test_documents_with_the_same_name_are_all_sent(kernel: Kernel, cloudflare: Standin) -> None:
    for folder, number in (("a", 1), ("b", 2)):
        kernel.run(
            f"import pathlib; folder = pathlib.Path({folder!r}); folder.mkdir(exist_ok=True)\n"
            f"_ = (folder / 'x.csv').write_text('n\\n{number}\\n')"
        )
    kernel.run("%%cfai --task markdown -o docs\na/x.csv\nb/x.csv\na/x.csv")
    assert kernel.run("print(*docs.parsed, sep=', ')").text == "x.csv, x (2).csv, x (3).csv\n"
    assert kernel.run("print(*('2' in t for t in docs.parsed.values()))").text == (
        "False True False\n"
    )
    assert len(cloudflare.requests) == 1


@pytest.mark.parametrize(
    ("line", "body", "message"),
    [
        ("image -t 0.3", "x", "--task image can't be combined with --temperature"),
        ("image --from en", "x", "--task image can't be combined with --from"),
        ("speech --image plot.png", "x", "--task speech can't be combined with --image"),
        ("image -m bge-m3", "x", "bge-m3 is a model for Text Embeddings, not for --task image"),
        ("image", "x" * 2049, "The prompt has 2,049 characters; the maximum is 2,048"),
        ("image --image plot.png", "x", "flux-1-schnell does not take 1 input image"),
        ("image --max-neurons 5", "x", "this call may cost 172.8.\nRaise --max-neurons"),
        ("transcribe", "note.txt", "note.txt is not audio in a supported format"),
        ("transcribe", "none.mp3", "--task transcribe none.mp3: No such file"),
        ("transcribe", "{{texts}}", "list is not bytes, a path or a URL"),
        ("transcribe", "talk.wav\ntalk.wav", "takes one audio file per cell"),
        (
            "transcribe -m nova-3 -p language=de",
            "talk.wav",
            "accepts only a file, not the field language",
        ),
        ("translate", "Hallo", "needs both languages"),
        ("translate --to de", "Hallo", "needs both languages"),
        ("rerank", "only a query", "needs a query and texts"),
        ("classify -m bge-reranker-base", "x", "ranks texts and can't classify them"),
        ("rerank -m distilbert-sst-2-int8", "a\nb", "can't rank texts"),
        ("embed", "{{texts[:0]}}", "--task embed needs text"),
        ("embed", "{{texts[:1] + [' ']}}", "texts[:1] + [' ']: item 1 is blank"),
        ("embed", "{{[dict(a=texts)]}}", "item 0 is of type dict, not a text"),
        ("embed", "{{(1 / 0 for _ in texts)}}", "ZeroDivisionError: division by zero"),
        ("embed", "{{[type('T', (), {'__str__': len})()]}}", "TypeError: len() takes"),
        ("embed", "a {{type('T', (), {'__str__': len})()}}", "TypeError: len() takes"),
        ("embed", "a {{dict([(1, 2), ('1', 3)])}}", 'have the same text "1".\nRename one'),
        ("embed", "{{[bytes(2)]}}", "item 0 is of type bytes, not a text"),
        ("embed", "{{[print()]}}", "item 0 has no value"),
        ("embed", "{{texts and None}}", "texts and None has no value"),
        ("rerank", "query\n{{bytes(2)}}", "bytes(2) is of type bytes, not a text"),
        ("describe", "What?", "needs one image"),
        ("paint", "x", "argument --task: invalid choice: 'paint'"),
    ],
)
def test_invalid_input_is_rejected_before_sending(
    kernel: Kernel, cloudflare: Standin, line: str, body: str, message: str
) -> None:
    cell = kernel.run(f"%%cfai --task {line}\n{body}")
    assert len(cell.traceback) == 1, cell
    assert message in cell.traceback[0]
    assert cloudflare.requests == ()


def test_from_and_to_require_a_task(kernel: Kernel, cloudflare: Standin) -> None:
    assert (
        "--save, --from and --to require --task" in kernel.run("%%cfai --to de\nHi").traceback[0]
    )
    assert cloudflare.requests == ()


def test_a_dry_run_shows_the_price_in_the_unit_of_the_task(
    kernel: Kernel, cloudflare: Standin
) -> None:
    image = kernel.run("%%cfai --task image --dry-run -p steps=8\na lighthouse").text
    assert "1,024×1,024 pixels, 8 steps: at most 326 neurons (estimated)." in image
    assert "4.8 per 512×512 tile, 9.6 per step and tile (neurons)" in image
    transcription = kernel.run("%%cfai --task transcribe --dry-run\ntalk.wav").text
    assert "12.0 s of audio: at most 9.3 neurons (estimated)." in transcription
    assert len(json.loads(transcription.partition("\n\n")[0])["input"]["audio"]) < 100
    assert cloudflare.requests == ()


def test_an_interrupted_task_stops_at_once_and_is_booked(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cloudflare.switch(delay_before_headers=60.0)
    running = kernel.start("%%cfai --task image\na lighthouse")
    assert cloudflare.wait_for(lambda c: len(c.requests) == 1)
    cell = kernel.interrupt(running)
    cloudflare.switch(delay_before_headers=0.0)
    assert cell.ename == "InterruptedAnswerError"
    assert cloudflare.wait_for(lambda c: c.disconnects >= 1)
    last = kernel.run(
        "from cfai_magics.api import get_current_session\n"
        "*_, last = get_current_session().accounting.ledger.history.iter_calls()\n"
        "print((last['status'], round(last['neurons'], 1)))"
    )
    assert last.text == "('interrupted', 172.8)\n"
