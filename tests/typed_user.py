"""A user program: `make check` runs mypy on it to check the types of the public API."""

from collections.abc import Iterator
from typing import Any, assert_type

import httpx

from cfai_magics import (
    Answer,
    AnswerSet,
    CfaiError,
    Embeddings,
    Model,
    Request,
    Session,
    Usage,
    WorkersAI,
    ask,
    embed,
    map,  # noqa: A004 - its name
    panel,
    recording,
    run,
    similarity,
    stream,
)


def functions() -> None:
    """Call each function with all kinds of arguments."""
    answer = ask("Hi", model="llama-3.2-3b-instruct", max_tokens=9, temperature=0, stop=["END"])
    assert_type(answer, Answer)
    assert_type(answer.text, str)
    assert_type(answer.usage, Usage)
    assert_type(answer.neurons, float | None)
    with stream("Hi", temperature=0.5, max_neurons=10, extra={"top_k": 5}) as pieces:
        assert_type(iter(pieces), Iterator[str])
        assert_type(pieces.answer, Answer)
    vectors = embed(word for word in ("sun", "moon"))
    assert_type(vectors, Embeddings)
    assert_type(vectors.shape, tuple[int, int])
    assert_type(vectors[0], tuple[float, ...])
    assert_type(vectors.similarities()[0][1], float)
    assert_type(similarity("sun").matrix[0][0], float)
    assert_type(map("{text}", ["a"], concurrency=2, confirm=False), Any)
    picture = run("flux-1-schnell", {"prompt": "a lighthouse"}, max_neurons=200)
    assert_type(picture.content, bytes | None)
    panel().close()
    with recording("lesson.cfai.jsonl", mode="only") as lesson:
        assert_type(lesson.client(), httpx.Client)
        assert_type(lesson.async_client(), httpx.AsyncClient)
        assert_type((lesson.base_url, lesson.api_key), tuple[str, str])


def objects(session: Session, client: WorkersAI, answers: AnswerSet) -> None:
    """Call the methods of a session and a client."""
    request = session.build_request([{"role": "user", "content": "Hi"}], think=True, seed=1)
    assert_type(request, Request)
    assert_type(session.ask(request, max_neurons=5.0), Answer)
    assert_type(session.embed("sun").vectors, tuple[tuple[float, ...], ...])
    assert_type(session.to_markdown([("a.csv", b"a", "text/csv")]).result, Any)
    assert_type(session.resolve_model("gemma"), Model)
    assert_type(client.chat(request), Answer)
    assert_type(client.list_models(), tuple[Model, ...])
    assert_type([each.text for each in answers], list[str])
    with WorkersAI.openai_compatible("http://127.0.0.1:8080/v1", "", timeout=5) as other:
        assert_type(other, WorkersAI)


def mistakes(client: WorkersAI) -> None:
    """Make mistakes that a type checker must report."""
    try:
        ask("Hi", temprature=1)  # type: ignore[call-arg]
        ask("Hi", temperature="hot")  # type: ignore[arg-type]
        ask("Hi", "llama")  # type: ignore[call-arg]
        ask()  # type: ignore[call-arg]
        stream("Hi", max_tokens=2.5)  # type: ignore[arg-type]
        embed([1, 2])  # type: ignore[list-item]
        map("{text}", ["a"], concurency=2)  # type: ignore[call-arg]
        recording(7)  # type: ignore[arg-type]
        run("m", {}, content_type=7)  # type: ignore[arg-type]
        client.chat("Hi")  # type: ignore[arg-type]
        WorkersAI("0" * 32, "token", timout=3)  # type: ignore[call-arg]
    except CfaiError as error:
        assert_type(error.hint, str)
