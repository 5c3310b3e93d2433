"""Each native task returns valid data in its recorded format."""

import base64
import io
import math
import struct
import wave
import zlib
from typing import Any

import pytest

from tests.standin import Standin
from tests.standin_tests.api import Api

QWEN = "@cf/qwen/qwen3-embedding-0.6b"
DIMENSIONS = {
    "@cf/baai/bge-small-en-v1.5": 384,
    "@cf/baai/bge-base-en-v1.5": 768,
    "@cf/baai/bge-large-en-v1.5": 1024,
    "@cf/baai/bge-m3": 1024,
    "@cf/google/embeddinggemma-300m": 768,
    "@cf/pfnet/plamo-embedding-1b": 2048,
    QWEN: 1024,
}


def result(api: Api, model: str, /, **body: Any) -> Any:
    reply = api.run(model, **body)
    assert reply.status_code == 200, reply.text
    return reply.json()["result"]


def tone(seconds: float) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(int(16_000 * seconds)))
    return buffer.getvalue()


def check_png(data: bytes, width: int, height: int) -> None:
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", data[16:24]) == (width, height)
    length = struct.unpack(">I", data[33:37])[0]
    assert data[37:41] == b"IDAT"
    assert len(zlib.decompress(data[41 : 41 + length])) == (width + 1) * height


def check_jpeg(data: bytes, width: int, height: int) -> None:
    assert data.startswith(b"\xff\xd8\xff\xe0")
    assert data.endswith(b"\xff\xd9")
    at = data.index(b"\xff\xc0")
    assert struct.unpack(">HH", data[at + 5 : at + 9]) == (height, width)


def cosine(one: list[float], other: list[float]) -> float:
    return sum(left * right for left, right in zip(one, other, strict=True))


@pytest.mark.parametrize(("model", "dimensions"), DIMENSIONS.items())
def test_vectors_have_the_dimensions_of_the_model_and_length_1(
    model: str, dimensions: int, api: Api
) -> None:
    returned = result(api, model, text=["Hi", "Ho"])
    assert returned["shape"] == [2, dimensions]
    assert [len(one) for one in returned["data"]] == [dimensions] * 2
    assert math.hypot(*returned["data"][0]) == pytest.approx(1, abs=1e-4)


def test_both_embedding_routes_return_the_same_vectors(api: Api) -> None:
    native = result(api, QWEN, text=["Hi", "Ho"])["data"]
    body = api.post("/ai/v1/embeddings", {"model": QWEN, "input": ["Hi", "Ho"]}).json()
    assert set(body) == {"object", "data", "model"}
    assert [one["embedding"] for one in body["data"]] == native
    assert [one["index"] for one in body["data"]] == [0, 1]
    alone = api.post("/ai/v1/embeddings", {"model": QWEN, "input": "Ho"}).json()
    assert alone["data"][0]["embedding"] == native[1]


def test_embeddings_can_report_their_usage(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(embeddings_usage=True)
    body = api.post("/ai/v1/embeddings", {"model": QWEN, "input": "word"}).json()
    assert body["usage"] == {"prompt_tokens": 1, "total_tokens": 1}


def test_texts_with_the_same_words_have_a_higher_similarity(api: Api) -> None:
    cat, cats, tax = result(
        api, QWEN, text=["the cat sat on the mat", "a cat on the mat", "income tax return forms"]
    )["data"]
    assert cosine(cat, cats) > cosine(cat, tax) + 0.2


def test_contexts_are_ranked_by_similarity(api: Api) -> None:
    contexts = [{"text": "tax forms"}, {"text": "the cat sat"}]
    for model in ("@cf/baai/bge-reranker-base", "@cf/baai/bge-m3"):
        ranked = result(api, model, query="cat", contexts=contexts)["response"]
        assert [one["id"] for one in ranked] == [1, 0]
        assert all(0 < one["score"] < 1 for one in ranked)
    first = result(api, "@cf/baai/bge-reranker-base", query="cat", contexts=contexts, top_k=1)
    assert len(first["response"]) == 1


@pytest.mark.parametrize(
    ("model", "content_type"),
    [
        ("@cf/stabilityai/stable-diffusion-xl-base-1.0", "image/png"),
        ("@cf/leonardo/phoenix-1.0", "image/jpeg"),
    ],
)
def test_some_models_return_binary_images(model: str, content_type: str, api: Api) -> None:
    reply = api.run(model, prompt="a square", width=64, height=33)
    assert reply.headers["content-type"] == content_type
    check = check_png if content_type == "image/png" else check_jpeg
    check(reply.content, 64, 33)


def test_other_models_return_images_as_base64(api: Api) -> None:
    returned = result(api, "@cf/black-forest-labs/flux-1-schnell", prompt="a square")
    check_jpeg(base64.b64decode(returned["image"]), 1024, 1024)
    form = {"prompt": (None, "edit this"), "input_image_0": ("a.png", b"png", "image/png")}
    reply = api.http.post("/ai/run/@cf/black-forest-labs/flux-2-klein-4b", files=form)
    check_jpeg(base64.b64decode(reply.json()["result"]["image"]), 1024, 1024)


@pytest.mark.parametrize(
    "body",
    [
        {"json": {"audio": list(tone(60))}},
        {"content": tone(60), "headers": {"content-type": "audio/wav"}},
    ],
    ids=["list of bytes", "binary body"],
)
def test_speech_is_transcribed_and_billed_by_the_minute(
    body: Any, cloudflare: Standin, api: Api
) -> None:
    cloudflare.switch(answer="Good morning.")
    returned = api.http.post("/ai/run/@cf/openai/whisper", **body).json()["result"]
    assert (returned["text"], returned["word_count"]) == ("Good morning.", 2)
    assert set(returned) == {"text", "word_count", "vtt", "words"}
    assert cloudflare.billed == pytest.approx(41.14)


def test_other_speech_models_have_their_own_response_formats(api: Api) -> None:
    audio = base64.b64encode(tone(1)).decode()
    turbo = result(api, "@cf/openai/whisper-large-v3-turbo", audio=audio, language="de")
    assert turbo["transcription_info"] == {"language": "de", "duration": 1.0}
    assert set(turbo) >= {"text", "word_count", "segments", "vtt"}
    sent = {"content": tone(1), "headers": {"content-type": "audio/wav"}}
    nova = api.http.post("/ai/run/@cf/deepgram/nova-3", **sent).json()["result"]
    alternative = nova["results"]["channels"][0]["alternatives"][0]
    assert set(alternative) == {"transcript", "confidence", "words"}


def test_text_to_speech_returns_valid_audio(cloudflare: Standin, api: Api) -> None:
    melo = result(api, "@cf/myshell-ai/melotts", prompt="Hello there", lang="en")
    assert base64.b64decode(melo["audio"]).startswith(b"\xff\xfb")
    aura = api.run("@cf/deepgram/aura-1", text="x" * 1000)
    assert aura.headers["content-type"] == "audio/mpeg"
    assert aura.headers["cf-ai-neurons"] == "1363.64"
    sound = api.run("@cf/deepgram/aura-2-en", text="Hi", container="wav")
    with wave.open(io.BytesIO(sound.content)) as file:
        assert file.getnframes() > 0


def test_texts_are_translated_and_classified(cloudflare: Standin, api: Api) -> None:
    translated = result(api, "@cf/meta/m2m100-1.2b", text="Hi", source_lang="en", target_lang="de")
    assert translated == {"translated_text": "[de] Hi"}
    cloudflare.switch(answer="Hallo")
    translated = result(api, "@cf/meta/m2m100-1.2b", text="Hi", target_lang="de")
    assert translated == {"translated_text": "Hallo"}
    labels = {
        text: max(
            result(api, "@cf/huggingface/distilbert-sst-2-int8", text=text),
            key=lambda one: one["score"],
        )["label"]
        for text in ("What a lovely day", "This is awful")
    }
    assert labels == {"What a lovely day": "POSITIVE", "This is awful": "NEGATIVE"}


def test_images_are_classified_and_described(api: Api) -> None:
    assert result(api, "@cf/microsoft/resnet-50", image=[1, 2, 3])[0]["label"] == "TABBY"
    boxed = api.http.post("/ai/run/@cf/facebook/detr-resnet-50", content=b"\x89PNG").json()
    assert set(boxed["result"][0]["box"]) == {"xmin", "ymin", "xmax", "ymax"}
    described = result(api, "@cf/llava-hf/llava-1.5-7b-hf", image=[1], prompt="What?")
    assert described == {"description": " A small grey square."}
    assert result(api, "@cf/moondream/moondream3.1-9B-A2B", task="caption", image="data:") == {}


def test_a_decision_answers_each_question(api: Api) -> None:
    returned = result(
        api, "@cf/cloudflare/clef", model="clef", state="It rains.", questions=["Wet?", "Dry?"]
    )
    assert [one["question"] for one in returned["answers"]] == ["Wet?", "Dry?"]
    assert returned["usage"]["neurons"] > 0


def test_documents_are_converted_to_markdown(cloudflare: Standin, api: Api) -> None:
    files = [
        ("files", ("a.csv", b"x,y\n1,2\n", "text/csv")),
        ("files", ("b.html", b"<h1>Tea &amp; milk</h1>", "text/html")),
        ("files", ("c.bin", b"\0", "application/octet-stream")),
    ]
    table, page, other = api.http.post("/ai/tomarkdown", files=files).json()["result"]
    assert table["data"] == "| x | y |\n| --- | --- |\n| 1 | 2 |"
    assert (table["format"], table["mimeType"]) == ("markdown", "text/csv")
    assert page["data"] == "Tea & milk"
    assert (other["format"], other["name"]) == ("error", "c.bin")
    supported = api.get("/ai/tomarkdown/supported").json()["result"]
    assert {"extension": ".csv", "mimeType": "text/csv"} in supported


def test_a_batch_is_queued_and_returned_in_another_order(cloudflare: Standin, api: Api) -> None:
    path = f"/ai/run/{QWEN}"
    requests = [{"text": "Hi", "external_reference": "a"}, {"text": ["Ho"] * 101}]
    queued = api.http.post(path, params={"queueRequest": "true"}, json={"requests": requests})
    ticket = queued.json()["result"]
    assert (ticket["status"], ticket["model"]) == ("queued", QWEN)
    poll = {"request_id": ticket["request_id"]}
    assert api.post(path, poll).json()["result"]["status"] == "queued"
    assert cloudflare.calls == []
    finished = api.post(path, poll).json()["result"]
    failed, done = finished["responses"]
    assert (failed["id"], failed["success"]) == (1, False)
    assert (done["id"], done["success"], done["external_reference"]) == (0, True, "a")
    assert done["result"]["shape"] == [1, 1024]
    assert finished["usage"]["prompt_tokens"] == 1
    assert api.post(path, poll).json()["result"] == finished
    assert len(cloudflare.calls) == 1
