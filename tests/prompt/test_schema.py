"""Test structured output: schemas, the requests with them, and validation."""

import json
from pathlib import Path
from typing import Any

import pydantic
import pytest

from cfai_magics.errors import InvalidOptionError
from cfai_magics.prompt.output_formats import (
    FormatError,
    Schema,
    load_schema,
    read_schema,
    supports_streaming_schema,
)
from cfai_magics.types.usage import Model
from tests.kernels import Cell, Kernel
from tests.standin import Fault, Standin

pytestmark = pytest.mark.slow

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
}
ROME = '{"city": "Rome", "people": 3}'
DEFINE = f"CITY = {CITY!r}"


class City(pydantic.BaseModel):
    city: str
    people: int


@pytest.mark.parametrize("text", [ROME, f"```json\n{ROME}\n```"])
def test_a_matching_answer_is_parsed(text: str) -> None:
    assert Schema(CITY).parse(text) == {"city": "Rome", "people": 3}
    assert load_schema("City", City).parse(text) == City(city="Rome", people=3)


@pytest.mark.parametrize(
    ("schema", "text", "message"),
    [
        (CITY, '{"city": "Rome"}', "$: 'people' is a required property"),
        (CITY, '{"city": 1, "people": "x"}', "$.city: 1 is not of type 'string'; $.people: 'x'"),
        (CITY, "Rome", "it is no JSON: Expecting value"),
        ({"items": {"type": "integer"}}, '["a", "b", "c", "d", "e"]', "; and 2 more"),
        ({"$ref": "#/$defs/none"}, "1", "the schema can't be followed"),
    ],
)
def test_a_mismatch_is_reported_with_its_path(
    schema: dict[str, Any], text: str, message: str
) -> None:
    with pytest.raises(FormatError) as caught:
        Schema(schema).parse(text)
    assert message in str(caught.value)


def test_a_mismatch_with_a_pydantic_model_is_reported_with_its_path() -> None:
    with pytest.raises(FormatError, match=r"\$\.people: Input should be a valid integer"):
        load_schema("City", City).parse('{"city": "Rome", "people": "x"}')


class Strict(pydantic.BaseModel):
    city: str

    @pydantic.field_validator("city")
    @classmethod
    def fail(cls, value: str) -> str:
        raise LookupError(f"no city\n{value}")


def test_an_error_of_a_validator_is_a_mismatch() -> None:
    with pytest.raises(FormatError, match=r"^LookupError: no city Rome$"):
        load_schema("Strict", Strict).parse(ROME)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("text", "not a dict, a pydantic model or a JSON file"),
        (City(city="Rome", people=3), "not a dict, a pydantic model or a JSON file"),
        ({"city": "string"}, "not a JSON Schema: it contains no JSON Schema keywords"),
        ({"type": "objekt"}, "not a valid JSON Schema: 'objekt'"),
        ({"$ref": "https://example.com/schema"}, "refers to https://example.com/schema"),
    ],
)
def test_an_invalid_schema_is_rejected(value: object, message: str) -> None:
    with pytest.raises(InvalidOptionError, match=message):
        load_schema("it", value)


def test_a_schema_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "city.json"
    path.write_text(json.dumps(CITY))
    assert read_schema(path) == Schema(CITY)
    path.write_text("{")
    with pytest.raises(InvalidOptionError, match="can't be read"):
        read_schema(path)


def test_the_response_format_depends_on_the_server() -> None:
    schema = Schema(CITY)
    assert schema.build_response_format(is_openai_compatible=False) == {
        "type": "json_schema",
        "json_schema": CITY,
    }
    assert schema.build_response_format(is_openai_compatible=True)["json_schema"]["schema"] == CITY
    assert supports_streaming_schema(Model("@cf/google/gemma-4-26b-a4b-it"))
    assert not supports_streaming_schema(Model("@cf/meta/llama-3.3-70b-instruct-fp8-fast"))


# --- in a kernel


@pytest.fixture(scope="module")
def module_kernel(module_kernel: Kernel) -> Kernel:
    module_kernel.run(DEFINE)
    return module_kernel


@pytest.fixture
def account(module_cloudflare: Standin) -> Standin:
    module_cloudflare.clear()
    module_cloudflare.switch(answer=None, error=None, errors_before_success=None)
    return module_cloudflare


@pytest.fixture
def kernel(module_kernel: Kernel, account: Standin) -> Kernel:
    return module_kernel


def ask(kernel: Kernel, line: str = "--schema CITY -o found") -> Cell:
    return kernel.run(f"%%cfai {line}\nWhich city?")


def test_a_matching_answer_is_shown_and_parsed(kernel: Kernel, account: Standin) -> None:
    cell = ask(kernel)
    sent = account.requests[-1].json
    assert sent["response_format"] == {"type": "json_schema", "json_schema": CITY}
    assert sent["stream"] is True
    assert json.dumps(CITY) in sent["messages"][0]["content"]
    assert cell.mime("text/markdown")[0].startswith('```json\n{\n  "city": ')
    assert len(account.requests) == 1
    assert kernel.run("found.parsed == found.json(), found.parsed['people']").text == "(True, 1)"


def test_a_pydantic_model_returns_its_instance(kernel: Kernel) -> None:
    kernel.run(
        "import pydantic\nclass Town(pydantic.BaseModel):\n    city: str\n    people: int = 0\n"
        "class models: Town = Town"
    )
    ask(kernel, "--schema models.Town -o found")
    assert kernel.run("type(found.parsed).__name__, found.parsed.people").text == "('Town', 1)"


def test_a_refusal_is_not_sent_again(kernel: Kernel, account: Standin) -> None:
    refusal = {"choices": [{"index": 0, "delta": {"refusal": "No."}, "finish_reason": "stop"}]}
    account.switch(raw_stream=[f"data: {json.dumps(refusal)}\n\n"])
    cell = ask(kernel)
    account.switch(raw_stream=None)
    assert "the model refused to answer" in "\n".join(cell.traceback)
    assert len(account.requests) == 1


def test_a_model_without_streamed_schemas_is_called_unstreamed(
    kernel: Kernel, account: Standin
) -> None:
    ask(kernel, "--schema CITY -m llama-3.3-70b-instruct-fp8-fast")
    assert account.requests[-1].json["stream"] is False
    assert "people" in kernel.run("print(_cfai.parsed)").text


def test_a_mismatched_answer_is_retried_once_and_both_are_billed(
    kernel: Kernel, account: Standin
) -> None:
    account.switch(answer=['{"city": "Rome"}', ROME])
    before = account.billed
    cell = ask(kernel)
    first, second = account.requests
    added = second.json["messages"][len(first.json["messages"]) :]
    assert added[0] == {"role": "assistant", "content": '{"city": "Rome"}'}
    assert "'people' is a required property" in added[1]["content"]
    assert len(cell.mime("text/markdown")) == 1
    assert "Rome" in cell.mime("text/markdown")[0]
    assert "The first answer did not match the schema ($: 'people' is a required" in cell.text
    assert "neurons billed." in cell.text
    values = kernel.run(
        "print(found.neurons, found.cost_basis, found.parsed['people'])"
    ).text.split()
    assert float(values[0]) == pytest.approx(account.billed - before)
    assert values[1:] == ["billed", "3"]


def test_a_second_mismatch_fails_the_cell_and_keeps_the_answer(
    kernel: Kernel, account: Standin
) -> None:
    account.switch(answer='{"city": "Rome"}')
    cell = ask(kernel)
    assert cell.ename == "SchemaMismatchError"
    assert "$: 'people' is a required property" in cell.traceback[0]
    assert len(account.requests) == 2
    assert kernel.run("found.json()").text == "{'city': 'Rome'}"
    assert "The first answer did not match" in cell.text


def test_a_truncated_answer_is_not_retried(kernel: Kernel, account: Standin) -> None:
    account.switch(answer=ROME)
    cell = ask(kernel, "--schema CITY --max-tokens 3")
    assert cell.ename == "SchemaMismatchError"
    assert "it was cut off at 3 tokens" in cell.traceback[0]
    assert len(account.requests) == 1


def test_a_rejected_response_format_is_replaced_by_instructions(
    kernel: Kernel, account: Standin
) -> None:
    account.switch(answer=ROME, error=Fault.of(5024), errors_before_success=1)
    assert ask(kernel).ename == ""
    first, second = account.requests
    assert "response_format" in first.json
    assert "response_format" not in second.json
    assert json.dumps(CITY) in second.json["messages"][0]["content"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--schema nothing", "--schema nothing is neither a variable nor a file"),
        ("--schema no/such.json", "is neither a variable nor a file"),
        ("--schema CITY -f html", "--schema works only with -f json"),
        ("--schema CITY -x", "--schema works only with -f json"),
        ("--schema pydantic", "not a dict, a pydantic model or a JSON file"),
    ],
)
def test_invalid_options_are_a_two_line_error_and_send_nothing(
    kernel: Kernel, account: Standin, line: str, message: str
) -> None:
    kernel.run("import pydantic")
    cell = ask(kernel, line)
    assert cell.ename == "InvalidOptionError"
    assert message in cell.traceback[0]
    assert account.requests == ()


def test_an_interrupted_retry_keeps_the_first_answer(kernel: Kernel, account: Standin) -> None:
    account.switch(answer='{"city": "Rome"}', delay_before_first=3.0)
    running = kernel.start("%%cfai --schema CITY -o found\nWhich?")
    assert account.wait_for(lambda c: len(c.requests) == 2)
    assert kernel.interrupt(running).ename == "InterruptedAnswerError"
    account.switch(answer=None, delay_before_first=0.0)
    assert (
        kernel.run("print(found.json(), found.finish_reason)").text
        == "{'city': 'Rome'} interrupted\n"
    )
