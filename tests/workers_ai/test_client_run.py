"""Native tasks with unparsed results, and other OpenAI-compatible servers."""

import secrets
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from cfai_magics.errors import InvalidOptionError, ModelNotFoundError
from cfai_magics.types.results import TaskResult
from cfai_magics.workers_ai.client import WorkersAI
from tests.standin import Standin, media
from tests.workers_ai.calls import GEMMA, REQUEST, Script

BGE = "@cf/baai/bge-m3"
WHISPER = "@cf/openai/whisper"
PHOENIX = "@cf/leonardo/phoenix-1.0"
SDXL = "@cf/stabilityai/stable-diffusion-xl-base-1.0"
FLUX = "@cf/black-forest-labs/flux-2-klein-9b"


def test_json_is_sent_and_returned_without_its_envelope(
    cloudflare: Standin, client: WorkersAI
) -> None:
    result = client.run(BGE, {"text": ["Hi", "Łódź"]})
    assert result.result["shape"] == [2, 1024]
    assert result.content is None
    assert result.content_type == "application/json"
    assert result.neurons == cloudflare.billed
    received = cloudflare.requests[-1]
    assert received.path.endswith(f"/ai/run/{BGE}")
    assert received.json == {"text": ["Hi", "Łódź"]}


def test_bytes_are_sent_unchanged(cloudflare: Standin, client: WorkersAI) -> None:
    sound = media.wav(1.0)
    cloudflare.switch(answer="Hello.")
    result = client.run(WHISPER, sound, content_type="audio/wav")
    assert result.result["text"] == "Hello."
    assert result.neurons == pytest.approx(cloudflare.billed, abs=0.005)
    assert cloudflare.requests[-1].body_bytes == sound
    assert cloudflare.requests[-1].content_type == "audio/wav"
    client.run(WHISPER, sound)
    assert "content-type" not in cloudflare.requests[-1].headers


def test_fields_and_files_are_sent_as_a_form(cloudflare: Standin, client: WorkersAI) -> None:
    files = {"input_image_0": ("a.png", b"\x89PNG", "image/png")}
    result = client.run(FLUX, {"prompt": "a square", "width": 256}, files=files)
    assert set(result.result) == {"image"}
    received = cloudflare.requests[-1]
    assert received.content_type == "multipart/form-data"
    for part in (b'name="prompt"\r\n\r\na square', b'name="width"\r\n\r\n256', b"\x89PNG"):
        assert part in received.body_bytes


def test_a_form_can_have_only_fields_or_only_files(cloudflare: Standin, client: WorkersAI) -> None:
    assert client.run(FLUX, {"prompt": "a square", "width": 64}, files={}).result["image"]
    client.run(FLUX, b"", files={"prompt": (None, "a square"), "width": (None, "64")})
    assert b'name="prompt"' in cloudflare.requests[-1].body_bytes


@pytest.mark.parametrize(
    ("model", "payload", "kind", "start", "is_billed"),
    [
        (PHOENIX, {"prompt": "a", "width": 64}, "image/jpeg", b"\xff\xd8", False),
        (SDXL, {"prompt": "a", "width": 64}, "image/png", b"\x89PNG", True),
        ("@cf/deepgram/aura-1", {"text": "Hi", "container": "wav"}, "audio/wav", b"RIFF", True),
    ],
)
def test_bytes_are_returned_with_their_content_type(
    model: str,
    payload: dict[str, object],
    kind: str,
    start: bytes,
    *,
    is_billed: bool,
    client: WorkersAI,
) -> None:
    result = client.run(model, payload)
    assert (result.content or b"").startswith(start)
    assert (result.content_type, result.result) == (kind, None)
    assert (result.neurons is not None) == is_billed


@pytest.mark.parametrize("neurons", ["many", "", "nan", "inf", "-1"])
def test_an_invalid_neuron_header_is_not_returned(neurons: str) -> None:
    headers = {"content-type": "image/png", "cf-ai-neurons": neurons}
    with Script(httpx.Response(200, headers=headers, content=b"x")).client() as client:
        assert client.run(GEMMA, {}) == TaskResult(None, b"x", "image/png")


@pytest.mark.parametrize(
    ("body", "neurons"),
    [
        ({"result": {"usage": {"neurons": 0.5}}, "success": True}, 0.5),
        ({"result": {"text": "Hi"}, "success": True}, 1.98),
        ({"result": [{"label": "CAT"}], "success": True}, 1.98),
    ],
    ids=["body", "header", "no object"],
)
def test_neurons_are_read_from_the_body_or_else_the_header(body: object, neurons: float) -> None:
    reply = httpx.Response(200, headers={"cf-ai-neurons": "1.98"}, json=body)
    with Script(reply).client() as client:
        assert client.run(GEMMA, {}).neurons == neurons


def test_special_characters_in_a_model_name_are_percent_encoded() -> None:
    script = Script(httpx.Response(200, json={"result": {}}))
    with script.client() as client:
        client.run("@cf/a b?c#d/é", {})
    assert script.requests[0].url.raw_path.endswith(b"/ai/run/@cf/a%20b%3Fc%23d/%C3%A9")


def test_the_error_names_the_unknown_model(client: WorkersAI) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        client.run("@cf/no/such", {"prompt": "Hi"})
    assert caught.value.model == "@cf/no/such"


@pytest.fixture
def other(cloudflare: Standin) -> WorkersAI:
    """Return a client that uses only the OpenAI routes of the stand-in."""
    address = f"{cloudflare.base_url}/accounts/{cloudflare.account_id}/ai/v1/"
    return WorkersAI.openai_compatible(address, cloudflare.token)


def test_another_server_is_called_on_the_openai_routes(
    cloudflare: Standin, other: WorkersAI
) -> None:
    cloudflare.switch(answer="Hi.", dialect="cumulative")
    with other:
        answer = other.chat(REQUEST)
        assert (answer.text, answer.is_local) == ("Hi.", True)
        assert cloudflare.requests[-1].json["stream_options"] == {"include_usage": True}
        assert len(other.embed(["Hi"], BGE).vectors) == 1
    assert cloudflare.requests[-1].path.endswith("/ai/v1/embeddings")
    assert repr(other) == "WorkersAI(other)"


def test_stream_options_are_not_sent_without_streaming() -> None:
    bodies: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        return httpx.Response(200, json={"choices": [{"message": {"content": "Hi"}}]})

    transport = httpx.MockTransport(answer)
    address = "http://localhost/v1"
    with WorkersAI.openai_compatible(address, secrets.token_hex(4), transport=transport) as client:
        assert client.chat(replace(REQUEST, stream=False)).text == "Hi"
    assert b"stream_options" not in bodies[0]


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.list_models(),
        lambda client: client.check_token(),
        lambda client: client.run(GEMMA, {}),
    ],
    ids=["models", "check_token", "run"],
)
def test_calls_that_need_cloudflare_are_rejected_for_another_server(
    call: Callable[[WorkersAI], object], cloudflare: Standin, other: WorkersAI
) -> None:
    with other, pytest.raises(InvalidOptionError, match="no Workers AI account"):
        call(other)
    assert cloudflare.requests == ()
