"""Invalid arguments of the Python API raise one clear error, and no request is sent."""

import math
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

import cfai_magics
from cfai_magics import Request, Session, WorkersAI, api
from cfai_magics.errors import InvalidOptionError
from cfai_magics.frontends import extension
from cfai_magics.settings import InvalidSettingError
from cfai_magics.types.messages import require_request
from cfai_magics.workers_ai.gateway import Gateway
from tests.kernels import Kernel
from tests.standin import Standin

pytestmark = pytest.mark.usefixtures("own_session")

MODEL = "@cf/meta/llama-3.2-3b-instruct"
HI = ({"role": "user", "content": "Hi"},)
FILES = [("a.csv", b"a", "text/csv")]
Call = Callable[..., Any]


@pytest.fixture
def calls(account: Standin) -> Iterator[dict[str, tuple[Call, tuple[Any, ...]]]]:
    """Return each public function by its name in errors, with valid arguments for it."""
    session = api.get_current_session()
    request = Request(MODEL, HI)
    with WorkersAI(account.account_id, account.token, base_url=account.base_url) as client:
        yield {
            "ask()": (cfai_magics.ask, ("hi",)),
            "stream()": (cfai_magics.stream, ("hi",)),
            "embed()": (cfai_magics.embed, (["hi"],)),
            "similarity()": (cfai_magics.similarity, (["hi"],)),
            "map()": (cfai_magics.map, ("{text}", ["hi"])),
            "run()": (cfai_magics.run, ("bge-m3", {"text": ["hi"]})),
            "Session()": (Session, (session.settings, session.home)),
            "Session.ask()": (session.ask, (request,)),
            "Session.stream()": (session.stream, (request,)),
            "Session.embed()": (session.embed, (["hi"],)),
            "Session.run()": (session.run, ("bge-m3", {"text": ["hi"]})),
            "Session.to_markdown()": (session.to_markdown, (FILES,)),
            "Session.build_request()": (session.build_request, (HI,)),
            "WorkersAI()": (WorkersAI, (account.account_id, account.token)),
            "WorkersAI.openai_compatible()": (
                WorkersAI.openai_compatible,
                (account.base_url, "key"),
            ),
            "WorkersAI.stream()": (client.stream, (request,)),
            "WorkersAI.chat()": (client.chat, (request,)),
            "WorkersAI.embed()": (client.embed, (["hi"], "@cf/baai/bge-m3")),
            "WorkersAI.run()": (client.run, ("@cf/baai/bge-m3", {"text": ["hi"]})),
            "WorkersAI.to_markdown()": (client.to_markdown, (FILES,)),
        }


def error_of(function: Call, *args: Any, **kwargs: Any) -> InvalidOptionError:
    with pytest.raises(InvalidOptionError) as caught:
        function(*args, **kwargs)
    assert str(caught.value).count("\n") <= 1
    return caught.value


def test_unknown_arguments_are_rejected_by_every_function(
    calls: dict[str, tuple[Call, tuple[Any, ...]]], account: Standin
) -> None:
    for label, (function, args) in calls.items():
        error = error_of(function, *args, zzz=1)
        assert error.cause == f"{label} does not accept the argument zzz"
        assert error.hint.startswith("Its arguments: ")
        assert (
            error_of(function, *args, zzz=1, yyy=2).cause
            == f"{label} does not accept the arguments zzz, yyy"
        )
    assert account.requests == ()


def test_too_many_arguments_are_rejected_by_every_function(
    calls: dict[str, tuple[Call, tuple[Any, ...]]], account: Standin
) -> None:
    for label, (function, args) in calls.items():
        assert f"{label} takes " in error_of(function, *args, *[None] * 9).cause
    assert error_of(cfai_magics.ask, "hi", "llama").cause == (
        "ask() takes 1 positional argument, not 2"
    )
    assert error_of(cfai_magics.ask, "hi", "llama").hint == (
        "Pass the others by name; for example, model=…."
    )
    assert account.requests == ()


def test_missing_arguments_are_rejected_by_every_function(
    calls: dict[str, tuple[Call, tuple[Any, ...]]],
) -> None:
    for label, (function, _args) in calls.items():
        assert error_of(function).cause.startswith(f"{label} requires the argument")
    assert error_of(cfai_magics.map).cause == "map() requires the arguments template, data"
    assert error_of(cfai_magics.map, data=[]).cause == "map() requires the argument template"


def test_an_argument_given_twice_is_rejected() -> None:
    error = error_of(cfai_magics.ask, "hi", prompt="hello")
    assert error.cause == "ask() received prompt twice, by position and by name"


CLOSEST = {
    "a wrong letter": ("temprature", "temperature"),
    "a prefix": ("temp", "temperature"),
    "capitals": ("Temperature", "temperature"),
    "OpenAI's name": ("max_completion_tokens", "max_tokens"),
    "a missing underscore": ("maxtokens", "max_tokens"),
    "two with the same prefix": ("max", "max_tokens or max_neurons"),
}


@pytest.mark.parametrize(("given", "closest"), CLOSEST.values(), ids=CLOSEST)
def test_the_closest_name_is_suggested(given: str, closest: str) -> None:
    for label, function, args in (
        ("ask()", cfai_magics.ask, ("hi",)),
        ("stream()", cfai_magics.stream, ("hi",)),
        ("Request()", Request, (MODEL, HI)),
    ):
        if label == "Request()" and given == "max":  # it has no max_neurons
            closest = "max_tokens"
        assert str(error_of(function, *args, **{given: 1})) == (
            f"{label} does not accept the argument {given}.\nDid you mean {closest}? "
            "Use extra={…} for other fields of the request."
        )


def test_a_notebook_shows_two_lines_for_a_misspelled_argument(module_kernel: Kernel) -> None:
    cell = module_kernel.run("import cfai_magics\ncfai_magics.ask('hi', temprature=1)")
    (line,) = cell.traceback
    assert line == (
        "InvalidOptionError: ask() does not accept the argument temprature.\n"
        "Did you mean temperature? "
        "Use extra={…} for other fields of the request."
    )


INVALID_VALUES = {
    "model": [3, None, b"llama", ["llama"]],
    "system": [3, None, b"brief"],
    "max_tokens": [0, -1, 2.5, "9", True, math.nan, 10**19, 10**400, 10**4000, -(10**4000)],
    "temperature": ["hot", "1", 9, -0.1, True, math.nan, math.inf, [0, 1], 10**400],
    "top_p": ["most", 1.5, -1, math.nan],
    "seed": ["x", 1.5, True, 10**4000],
    "stop": [5, b"END", ["a", 1]],
    "think": [1, None, "no"],
    "stream": [1, None, "no"],
    "extra": ["top_k=1", 7, [("top_k", 1)]],
    "max_neurons": [0, -1, "10", True, math.nan, 10**400, 10**4000],
    "gateway": [7, None, b"mine"],
    "concurrency": [0, 101, 2.5, "8", None, True],
    "confirm": [0, "no", None],
    "queue": [1, None],
    "fresh": [1, None],
    "content_type": [7, b"image/png"],
    "on_retry": [7, "print"],
    "timeout": [0, -1, "10", None, 10**400],
    "thread": [7, None],
    "environ": [7, "A=1"],
    "clock": [7, None],
    "wall_clock": [7, None],
    "sleep": [7, None],
    "use_proxies": [1, None],
    "endpoint": [7, None],
}


@pytest.mark.parametrize("name", INVALID_VALUES)
def test_invalid_values_are_rejected_by_every_function(
    calls: dict[str, tuple[Call, tuple[Any, ...]]], name: str, account: Standin
) -> None:
    causes = {
        f"{label} {value!r}": error_of(function, *args, **{name: value}).cause
        for label, (function, args) in calls.items()
        for value in INVALID_VALUES[name]
        if not (name == "gateway" and label.startswith("WorkersAI."))  # a Gateway object
    }
    checked = [cause for cause in causes.values() if "does not accept" not in cause]
    assert checked
    assert all(name in cause for cause in checked), causes
    assert account.requests == ()


VALUES = {
    "numpy's integer": ("max_tokens", np.int64(9), 9),
    "numpy's float": ("temperature", np.float32(0.5), 0.5),
    "an int for a float": ("temperature", 1, 1.0),
    "numpy's text": ("model", np.str_(MODEL), MODEL),
    "no extra": ("extra", None, {}),
}


@pytest.mark.parametrize(("name", "given", "expected"), VALUES.values(), ids=VALUES)
def test_numbers_and_texts_of_other_libraries_are_converted(
    name: str, given: Any, expected: Any
) -> None:
    fields: dict[str, Any] = {"model": MODEL, name: given}
    for request in (
        Request(messages=HI, **fields),
        api.get_current_session().build_request(HI, **fields),
    ):
        assert getattr(request, name) == expected
        assert type(getattr(request, name)) is type(expected)


def test_a_folder_given_as_text_is_rejected() -> None:
    session = api.get_current_session()
    error = error_of(Session, session.settings, str(session.home))
    assert error.cause == "home is of type str, not a pathlib.Path"


def test_objects_of_another_type_are_rejected(
    calls: dict[str, tuple[Call, tuple[Any, ...]]], account: Standin
) -> None:
    session = api.get_current_session()
    request = Request(MODEL, HI)
    assert error_of(Session, "auto", session.home).cause.startswith("settings is of type str")
    assert "resolved_model is of type str" in error_of(session.estimate_cost, request, MODEL).cause
    for label in ("run()", "Session.run()", "WorkersAI.run()"):
        function, args = calls[label]
        assert error_of(function, *args, files=[b"a"]).cause == "files is of type list, not a dict"
    assert account.requests == ()


def test_requests_are_checked_like_the_arguments_of_ask() -> None:
    for name in ("model", "max_tokens", "temperature", "top_p", "seed", "stop", "stream"):
        for value in INVALID_VALUES[name]:
            assert name in error_of(Request, **{"model": MODEL, "messages": HI, name: value}).cause
    assert "think" in error_of(Request, MODEL, HI, think=1).cause
    assert "extra" in error_of(Request, MODEL, HI, extra=7).cause


def test_equal_numbers_are_sent_as_the_same_bytes(account: Standin) -> None:
    for arguments in (
        {"temperature": 0, "top_p": 1},
        {"temperature": 0.0, "top_p": np.float32(1)},
        {"extra": {"temperature": 0, "top_p": 1.0}},
    ):
        cfai_magics.ask("hi", **arguments)  # type: ignore[arg-type]
        cfai_magics.map("{text}", ["hi"], fresh=True, **arguments)  # type: ignore[arg-type]
    sent = [request.json for request in account.requests]
    assert {repr((body["temperature"], body["top_p"])) for body in sent} == {"(0.0, 1.0)"}
    assert len(sent) == 6


def test_a_request_names_a_wrong_argument() -> None:
    assert error_of(Request, MODEL).cause == "Request() requires the argument messages"
    assert error_of(Request, MODEL, HI, model=MODEL).cause == (
        "Request() received model twice, by position and by name"
    )
    assert error_of(Request, MODEL, HI, *[None] * 12).cause == (
        "Request() takes 11 positional arguments, not 14"
    )


@pytest.mark.parametrize("line", ["temperature=9", "max_tokens=0", "top_p=2", "seed=x"])
def test_a_cell_rejects_extra_fields_like_python(
    shell: InteractiveShell, account: Standin, line: str
) -> None:
    name, _equals, value = line.partition("=")
    python_error = str(
        error_of(cfai_magics.ask, "hi", extra={name: int(value) if value.isdigit() else value})
    )
    extension.load(shell)
    result = shell.run_cell(f"%%cfai -p {line}\nHi")
    extension.unload(shell)
    assert str(result.error_in_exec) == python_error
    assert account.requests == ()


@pytest.mark.parametrize("name", ["max_tokens", "temperature", "top_p", "seed"])
def test_extra_fields_have_the_rules_of_the_arguments(name: str, account: Standin) -> None:
    for value in INVALID_VALUES[name]:
        expected = error_of(Request, MODEL, HI, **{name: value}).cause
        assert error_of(Request, MODEL, HI, extra={name: value}).cause == expected
        assert error_of(cfai_magics.ask, "hi", extra={name: value}).cause == expected
        with pytest.raises(InvalidOptionError):
            cfai_magics.map("{text}", ["hi"], extra={name: value})
    assert Request(MODEL, HI, extra={name: None}).extra == {name: None}
    assert account.requests == ()


@pytest.mark.parametrize("name", ["model", "messages", "stream"])
def test_extra_fields_cannot_replace_what_a_call_is_priced_by(
    shell: InteractiveShell, account: Standin, name: str
) -> None:
    extra = {name: {"model": MODEL, "messages": HI, "stream": False}[name]}
    build_request = api.get_current_session().build_request
    for function, first in (
        *((cfai_magics.ask, "hi"), (cfai_magics.stream, "hi"), (build_request, HI)),
        (partial(cfai_magics.map, data=["hi"]), "{text}"),
        (partial(Request, MODEL), HI),
    ):
        error = error_of(function, first, extra=extra)
        assert error.cause == f"extra can't set {name}"
        assert error.hint == (
            "Use the prompt and system=." if name == "messages" else f"Use {name}=."
        )
    extension.load(shell)
    result = shell.run_cell(f"%%cfai -p {name}=x\nHi")
    extension.unload(shell)
    assert f"-p can't set {name}" in str(result.error_in_exec)
    assert account.requests == ()


INVALID_FIELDS = {
    "n=-5": {"n": -5},
    "n=0": {"n": 0},
    "n is of type float": {"n": 2.5},
    "n=10^400": {"n": 10**400},
    "n is of type bool": {"n": True},
    "max_completion_tokens is of type str": {"max_completion_tokens": "9"},
    "max_completion_tokens=1000": {"max_completion_tokens": 10**19},
    "max_tokens=10^5000": {"max_tokens": 10**5000},
    "steps=10^400": {"steps": 10**400},
    "contains a value of type set": {"x": [{1}]},
    "contains a value of type float32": {"x": np.float32(1)},
    "contains a value of type ndarray": {"x": np.array([1])},
    "contains a value of type bytes": {"x": b"a"},
    "has a key that is not a string": {"x": {(1, 2): 3}},
    "NaN and infinity can't be sent": {"x": math.nan},
}


@pytest.mark.parametrize(("message", "fields"), INVALID_FIELDS.items(), ids=INVALID_FIELDS)
def test_fields_that_are_sent_as_given_are_checked_first(
    account: Standin, message: str, fields: dict[str, Any]
) -> None:
    build_request = api.get_current_session().build_request
    for call in (
        partial(cfai_magics.ask, "hi", extra=fields),
        partial(cfai_magics.map, "{text}", ["hi"], extra=fields),
        partial(build_request, HI, extra=fields),
        partial(cfai_magics.run, MODEL, {"prompt": "hi", **fields}),
        partial(cfai_magics.run, "flux-1-schnell", {"prompt": "hi", **fields}, max_neurons=5),
    ):
        assert message in error_of(call).cause
    assert account.requests == ()


@pytest.mark.parametrize(
    "line",
    [
        *("-p n=0", "-p n=2.5", f"-p max_tokens={10**400}", f"-p n={10**400}"),
        *(f"--max-tokens {10**400}", f"--seed {10**400}", f"-p steps={10**400} --task image"),
        f"-p width={10**400} --task image --dry-run",
    ],
    ids=lambda line: line.replace("0" * 400, "…"),
)
def test_a_cell_rejects_numbers_that_cannot_be_priced(
    shell: InteractiveShell, account: Standin, line: str
) -> None:
    extension.load(shell)
    result = shell.run_cell(f"%%cfai {line}\nHi")
    extension.unload(shell)
    assert isinstance(result.error_in_exec, InvalidOptionError)
    assert str(result.error_in_exec).count("\n") <= 1
    assert account.requests == ()


@pytest.mark.parametrize("stop", ["", [""], ("", "END")], ids=repr)
def test_an_empty_stop_text_is_left_out_everywhere(
    shell: InteractiveShell, account: Standin, stop: Any
) -> None:
    expected = ["END"] if "END" in stop else None
    cfai_magics.ask("hi", stop=stop)
    list(cfai_magics.stream("hi", stop=stop))
    api.get_current_session().ask(api.get_current_session().build_request(HI, stop=stop))
    cfai_magics.map("{text}", ["hi"], stop=stop, confirm=False)
    extension.load(shell)
    end = "--stop END" if expected else ""
    shell.run_cell(f"%%cfai --stop '' {end}\nHi").raise_error()
    shell.run_cell("%%cfai -p stop=\nHi").raise_error()
    extension.unload(shell)
    *others, last = (request.json.get("stop") for request in account.requests)
    assert others == [expected] * 5
    assert last is None
    assert error_of(cfai_magics.ask, "hi", extra={"stop": 7}).cause.startswith("stop is of type")


SYSTEM = {"role": "system", "content": "Be brief."}
BLANK_MESSAGES = {
    "no messages": [],
    "only instructions": [SYSTEM],
    "a blank text": [SYSTEM, {"role": "user", "content": " \n\t"}],
    "no content": [{"role": "user"}],
    "content that is None": [{"role": "user", "content": None}],
    "no parts": [{"role": "user", "content": []}],
    "blank parts": [{"role": "user", "content": [{"type": "text", "text": " "}]}],
}


@pytest.mark.parametrize("messages", BLANK_MESSAGES.values(), ids=BLANK_MESSAGES)
def test_messages_without_text_are_not_sent(account: Standin, messages: Any) -> None:
    session = api.get_current_session()
    request = session.build_request(messages)
    with WorkersAI(account.account_id, account.token, base_url=account.base_url) as client:
        for call in (session.ask, session.stream, client.chat, client.stream):
            assert error_of(call, request).cause == "The prompt is empty"
    assert error_of(session.parallel, [request]).cause == "The prompt is empty"
    assert account.requests == ()


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "content": "3", "tool_call_id": "1"},
    ],
    ids=["an image", "tool calls", "a result"],
)
def test_messages_without_text_from_the_user_may_have_other_content(message: Any) -> None:
    require_request(Request(MODEL, [SYSTEM, message]))


def test_a_prompt_in_place_of_a_request_is_rejected(account: Standin) -> None:
    session = api.get_current_session()
    for function in (session.ask, session.stream, session.parallel):
        assert error_of(function, ("hi",)).cause.endswith("not a Request")
    with WorkersAI(account.account_id, account.token) as client:
        for call in (client.chat, client.stream):
            assert error_of(call, "hi").cause == "request is of type str, not a Request"


@pytest.mark.parametrize(
    ("gateway", "cause"),
    [
        ("a/b", "gateway is of type str, not a Gateway"),
        ("", "gateway is of type str, not a Gateway"),
        (5, "gateway is of type int, not a Gateway"),
        (Gateway("a/b"), "'a/b' is not a valid gateway name"),
        (Gateway("a\r\nb: c"), "'a b: c' is not a valid gateway name"),
        (Gateway("a", {"b": math.inf}), "The gateway metadata is not valid"),
        (Gateway("a", {"b": {1}}), "The gateway metadata is not valid"),  # type: ignore[dict-item]
    ],
    ids=["text", "blank", "number", "name", "header", "infinity", "set"],
)
def test_every_call_of_the_client_rejects_an_invalid_gateway(
    account: Standin, gateway: Any, cause: str
) -> None:
    request = Request(MODEL, [{"role": "user", "content": "hi"}])
    with WorkersAI(account.account_id, account.token, base_url=account.base_url) as client:
        for call, *args in (
            (client.stream, request),
            (client.stream_body, {"model": MODEL, "messages": request.messages}),
            (client.chat, request),
            (client.embed, "hi", MODEL),
            (client.run, MODEL, {"text": "hi"}),
            (client.to_markdown, [("a.txt", b"hi", "text/plain")]),
            (client.batches.enqueue, [request]),
        ):
            assert error_of(call, *args, gateway=gateway).cause.replace("\\r\\n", " ") == cause
    assert account.requests == ()


@pytest.mark.parametrize("requests", [[], (), None, 5, "x", [5], [{"model": MODEL}]], ids=repr)
def test_a_batch_without_requests_is_rejected(account: Standin, requests: Any) -> None:
    with WorkersAI(account.account_id, account.token, base_url=account.base_url) as client:
        error = error_of(client.batches.enqueue, requests)
    assert error.cause == "requests must be a list of at least one Request"
    assert account.requests == ()


@pytest.mark.parametrize(("model", "batch_id"), [(5, "a"), (MODEL, 5), (MODEL, None)])
def test_a_batch_is_fetched_only_by_names(account: Standin, model: Any, batch_id: Any) -> None:
    with WorkersAI(account.account_id, account.token, base_url=account.base_url) as client:
        error = error_of(client.batches.fetch, model, batch_id)
    assert "not a str" in error.cause
    assert account.requests == ()


@pytest.mark.parametrize("body", ["x", 5, None, [], b"{}", {}, {"model": 5}], ids=repr)
def test_a_body_without_the_name_of_a_model_is_rejected(account: Standin, body: Any) -> None:
    with WorkersAI(account.account_id, account.token, base_url=account.base_url) as client:
        error = error_of(client.stream_body, body)
    assert error.cause == "body is not a dict with the name of a model"
    assert error.hint.startswith('Example: {"model": "@cf/')
    assert account.requests == ()


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"x": {1}}, "The request contains a value of type set, which is not JSON"),
        ({"x": {(1, 2): 3}}, "The request has a key that is not a string"),
        ({"x": math.inf}, "NaN and infinity can't be sent"),
    ],
    ids=["set", "tuple", "infinity"],
)
def test_a_body_that_is_not_json_is_not_sent(
    account: Standin, fields: dict[str, Any], cause: str
) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], **fields}
    with (
        WorkersAI(account.account_id, account.token, base_url=account.base_url) as client,
        client.stream_body(body) as stream,
    ):
        assert error_of(list, stream).cause == cause
    assert account.requests == ()


@pytest.mark.parametrize("day", [5, "2026-01-01", None, date(2026, 1, 1)], ids=repr)
def test_a_day_that_is_not_a_datetime_is_rejected(account: Standin, day: Any) -> None:
    with WorkersAI(account.account_id, account.token, base_url=account.base_url) as client:
        error = error_of(client.fetch_neurons_by_model, day)
    assert error.cause == f"day is of type {type(day).__name__}, not a datetime.datetime"
    assert account.requests == ()


@pytest.mark.parametrize("name", [5, 0, None, b"x", ["x"]], ids=repr)
def test_a_model_name_that_is_not_a_text_is_rejected(name: Any) -> None:
    session = api.get_current_session()
    for function in (session.resolve_target, session.find_target, session.resolve_model):
        cause = f"name is of type {type(name).__name__}, not a string"
        assert error_of(function, name).cause == cause


@pytest.mark.parametrize("requests", [5, None, [5], "hi"], ids=repr)
def test_parallel_calls_need_requests(requests: Any) -> None:
    error = error_of(api.get_current_session().parallel, requests)
    assert error.cause.endswith("not a Request")


OPTIONS = {
    "--max-tokens 0": {"max_tokens": 0},
    "--temperature 9": {"temperature": 9.0},
    "--top-p 3": {"top_p": 3.0},
    "--max-neurons 0": {"max_neurons": 0.0},
}


@pytest.mark.parametrize("line", OPTIONS)
def test_the_magic_and_python_reject_the_same_values(module_kernel: Kernel, line: str) -> None:
    ((name, value),) = OPTIONS[line].items()
    python_error = str(error_of(cfai_magics.ask, "hi", **{name: value}))
    cell = module_kernel.run(f"%%cfai {line}\nHi")
    flag = line.split(maxsplit=1)[0]
    assert cell.traceback == [
        f"InvalidOptionError: {python_error.replace(f'{name}=', f'{flag} ')}"
    ]


def test_the_setting_has_the_same_range_as_the_argument() -> None:
    with pytest.raises(InvalidSettingError, match="Can't set temperature"):
        api.get_current_session().settings.temperature = 9


def test_no_package_frame_contains_the_token_of_an_invalid_call() -> None:
    token = "x" * 40
    for call in (
        lambda: WorkersAI("0" * 32, f"{token}\n"),
        lambda: WorkersAI("0" * 32, token, timout=1),  # type: ignore[call-arg]
        lambda: WorkersAI("0" * 32, api_token=token, timeout=-1),
        lambda: WorkersAI("0" * 32, api_tokn=token),  # type: ignore[call-arg]
    ):
        traceback = error_of(call).__traceback__
        assert traceback
        while traceback := traceback.tb_next:  # type: ignore[assignment]
            if "cfai_magics" in traceback.tb_frame.f_code.co_filename:
                values = dict(traceback.tb_frame.f_locals)
                values.pop("self", None)
                assert token not in repr(values)
