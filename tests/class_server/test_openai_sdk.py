"""The openai SDK works with the address of the class server and the key of a student."""

import asyncio
import secrets
from collections.abc import Iterator

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from tests.class_server import MODEL, ClassServer
from tests.standin import Standin

EMBEDDING_MODEL = "@cf/baai/bge-m3"
ANSWER = "Grüße, 世界 👋🏽!"
MESSAGES = [{"role": "user", "content": "Hello"}]


def client_of(server: ClassServer, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)


def text_of(chunk: ChatCompletionChunk) -> str:
    """Return the text of a chunk; a chunk with the usage has no choices."""
    return "".join(choice.delta.content or "" for choice in chunk.choices)


@pytest.fixture
def client(server: ClassServer, cloudflare: Standin, key: str) -> Iterator[openai.OpenAI]:
    """Yield a client with the key of a student, whose answers are `ANSWER`."""
    cloudflare.switch(answer=ANSWER)
    with client_of(server, key) as opened:
        yield opened


def test_a_chat_is_answered_with_its_usage(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert completion.choices[0].message.content == ANSWER
    assert completion.usage.completion_tokens > 0


def test_a_stream_is_answered(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))
    assert "".join(map(text_of, chunks)) == ANSWER


def test_embeddings_are_answered(client: openai.OpenAI) -> None:
    found = client.embeddings.create(model=EMBEDDING_MODEL, input=["Hello", "World"])
    assert [len(one.embedding) for one in found.data] == [1024, 1024]


def test_the_models_are_listed(client: openai.OpenAI) -> None:
    assert {MODEL, EMBEDDING_MODEL} <= {model.id for model in client.models.list()}


def test_the_budget_is_in_the_headers(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES)
    assert (raw.headers["cfai-budget"], raw.headers["cfai-spent"]) == ("300", "0")
    assert raw.parse().choices[0].message.content == ANSWER


def test_the_asynchronous_client_is_answered_at_once(
    server: ClassServer, cloudflare: Standin, key: str
) -> None:
    cloudflare.switch(answer=ANSWER)

    async def ask() -> tuple[list[str | None], str]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=key) as client:
            create = client.chat.completions.create
            calls = [create(model=MODEL, messages=MESSAGES, max_tokens=50) for _ in range(5)]
            answers = [one.choices[0].message.content for one in await asyncio.gather(*calls)]
            stream = await create(model=MODEL, messages=MESSAGES, stream=True)
            return answers, "".join([text_of(chunk) async for chunk in stream])

    assert asyncio.run(ask()) == ([ANSWER] * 5, ANSWER)
    assert len(cloudflare.requests) == 6


def test_errors_have_the_classes_of_the_sdk(
    server: ClassServer, cloudflare: Standin, key: str, name: str
) -> None:
    def error_of(key: str, model: str = MODEL, **options: int) -> openai.APIStatusError:
        with client_of(server, key) as client, pytest.raises(openai.APIStatusError) as error:
            client.chat.completions.create(model=model, messages=MESSAGES, **options)
        return error.value

    poor = server.add_student(f"{name}, without a budget", budget=0)
    assert isinstance(error_of(f"cfs_{secrets.token_urlsafe(32)}"), openai.AuthenticationError)
    assert isinstance(error_of(key, "@cf/unknown/model"), openai.PermissionDeniedError)
    assert isinstance(error_of(key, max_tokens=-1), openai.BadRequestError)
    limited = error_of(poor)
    assert isinstance(limited, openai.RateLimitError)
    assert "it is used up until 00:00 UTC" in limited.message
    assert cloudflare.requests == ()


def test_the_sdk_tries_again_until_a_running_call_releases_its_reservation(
    server: ClassServer, cloudflare: Standin, name: str
) -> None:
    cloudflare.switch(answer=ANSWER, delay_before_headers=1)
    key = server.add_student(name, budget=50)

    async def ask() -> int:
        client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=5)
        async with client:
            create = client.chat.completions.create
            calls = [create(model=MODEL, messages=MESSAGES, max_tokens=1000) for _ in range(2)]
            return len(await asyncio.gather(*calls))

    assert asyncio.run(ask()) == 2
    assert len(cloudflare.requests) == 2
    assert server.settled(key)["spent"] <= 50
