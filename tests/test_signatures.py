"""The arguments of the Python API: named, typed, documented, and the same as the options."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from inspect import Parameter, signature
from typing import Any, get_type_hints

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

import cfai_magics
from cfai_magics import Request, Session, WorkersAI, api
from cfai_magics.arguments import VALUE_CHECKS
from cfai_magics.chat.options import ASK_OPTIONS, Option, OptionParser
from cfai_magics.workers_ai.client import Batches
from tests.standin import Standin

Function = Callable[..., Any]
FUNCTIONS: dict[str, Function] = {
    "ask": cfai_magics.ask,
    "stream": cfai_magics.stream,
    "embed": cfai_magics.embed,
    "similarity": cfai_magics.similarity,
    "map": cfai_magics.map,
    "run": cfai_magics.run,
    "panel": cfai_magics.panel,
    "recording": cfai_magics.recording,
}


def methods(cls: type) -> dict[str, Function]:
    """Return the constructor and the methods whose arguments check_method_arguments checks."""
    checked = {name: getattr(cls, name) for name in vars(cls)}
    return {
        cls.__name__ if name == "__init__" else f"{cls.__name__}.{name}": function
        for name, function in checked.items()
        if hasattr(function, "__wrapped__")
    }


ALL = FUNCTIONS | methods(Session) | methods(WorkersAI) | methods(Batches)
del ALL["Batches"]  # only `WorkersAI.batches` creates it
# Functions that take all fields of a request as arguments.
REQUEST_FUNCTIONS = ("ask", "stream", "map", "Session.build_request")


def parameters(function: Function) -> dict[str, Parameter]:
    return {
        name: parameter
        for name, parameter in signature(function).parameters.items()
        if name not in {"self", "cls"}
    }


def test_all_billable_functions_check_their_arguments() -> None:
    assert all(hasattr(function, "__wrapped__") for function in FUNCTIONS.values())
    assert {"Session", "WorkersAI", "WorkersAI.openai_compatible", "WorkersAI.chat"} <= set(ALL)
    for name in ("stream", "embed", "run", "to_markdown"):
        assert {f"Session.{name}", f"WorkersAI.{name}"} <= set(ALL)
    for name in ("ask", "parallel", "build_request", "estimate_cost", "watch", "fetch_catalog"):
        assert f"Session.{name}" in ALL


@pytest.mark.parametrize("name", ALL)
def test_every_argument_is_named_and_typed(name: str) -> None:
    for parameter in parameters(ALL[name]).values():
        assert parameter.kind in {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}
        assert parameter.annotation is not Parameter.empty, parameter
    assert signature(ALL[name]).return_annotation is not inspect.Signature.empty


# Arguments with one name that differ between functions, with the reason.
DIFFERENT_TYPES = {
    "files": "run takes files by form field, to_markdown a list of documents",
    "gateway": "the bare client has no settings: it takes a Gateway with its metadata",
    "requests": "a batch has a list of requests, and parallel also takes one request",
}
DIFFERENT_DEFAULTS = {
    "base_url": "another server has no default address",
    "files": "to_markdown needs documents",
    "gateway": "see DIFFERENT_TYPES",
    "model": "a native task, the bare client and its embeddings have no default model",
}


def test_arguments_of_one_name_have_one_type_and_default() -> None:
    types: dict[str, set[str]] = {}
    defaults: dict[str, set[str]] = {}
    for function in ALL.values():
        for name, parameter in parameters(function).items():
            types.setdefault(name, set()).add(str(parameter.annotation))
            defaults.setdefault(name, set()).add(repr(parameter.default))
    assert {name for name, found in types.items() if len(found) > 1} == set(DIFFERENT_TYPES)
    assert {name for name, found in defaults.items() if len(found) > 1} == set(DIFFERENT_DEFAULTS)


# Arguments without a rule in VALUE_CHECKS, and what checks them.
CHECKED_ELSEWHERE = {
    "prompt": "ask",
    "texts": "collect_texts, because a generator is consumed only once",
    "template": "make_plan",
    "data": "read_rows",
    "schema": "make_plan",
    "payload": "check_payload and parse_payload",
    "files": "check_files, or httpx",
    "gateway": "Backend.resolve_gateway, or require_gateway",
    "stop": "collect_stop_sequences",
    "messages": "check_messages",
    "request": "require_request",
    "requests": "require_request",
    "account_id": "WorkersAI",
    "api_token": "WorkersAI",
    "api_key": "WorkersAI",
    "base_url": "WorkersAI",
    "path": "parse_user_path",
    "mode": "parse_mode",
}
# Objects of the package and of embedding programs: only a type checker checks them.
OBJECTS = {
    *("settings", "transport", "resolved_model", "listed_model", "pool", "targets"),
}


def test_every_argument_has_a_check() -> None:
    names = {name for function in ALL.values() for name in parameters(function)}
    assert names == set(VALUE_CHECKS) | set(CHECKED_ELSEWHERE) | OBJECTS
    assert not set(VALUE_CHECKS) & (set(CHECKED_ELSEWHERE) | OBJECTS)


# Options of %%cfai whose argument has another name or type, with the reason.
OTHER_ARGUMENTS = {
    "model": "one model: several answers are several calls",
    "temperature": "one temperature: several answers are several calls",
    "stop": "one text or several; the option is repeated",
    "param": "extra, a dict",
    "no_stream": "stream, which is True unless it is turned off",
}
# Options of %%cfai without an argument, with the reason.
CELLS_ONLY = {
    "thread": "a conversation belongs to the cells of a notebook; build_request takes messages",
    "image": "build_request takes messages with images",
    "context": "a function has no cells above",
    "raw": "an f-string fills a prompt: {{…}} is always sent as typed",
    "times": "a loop, or map",
    "output": "the return value",
    "format": "an Answer has .text, .json() and .code",
    "plain": "see format",
    "schema": "map has it; for one answer, only a cell shows the retry",
    "tools": "a cell shows and confirms the calls",
    "allow_tools": "see tools",
    "max_steps": "see tools",
    "extract": "Answer.code",
    "dry_run": "Session.estimate_cost",
    "sent": "the caller has the messages",
    "task": "embed and run",
    "source": "a field of the payload of run",
    "target": "a field of the payload of run",
    "save": "the bytes are in the result of run",
    "footer": "an Answer has .usage and .seconds",
}
# Arguments of ask without an option, with the reason.
PYTHON_ONLY = {
    "prompt": "the cell",
    "extra": "the option is --param",
    "stream": "the option is --no-stream",
}


def option_name(option: Option) -> tuple[str, Any]:
    """Return the name and the default of an option."""
    ((name, default),) = vars(OptionParser("", [option]).parse_args([])).items()
    return name, default


def option_type(option: Option) -> Any:
    if option.argparse_kwargs.get("action") == "store_true":
        return bool
    return option.argparse_kwargs.get("type", str)


def test_every_option_has_its_argument_or_a_reason() -> None:
    arguments = set(parameters(cfai_magics.ask))
    options = {option_name(option)[0] for option in ASK_OPTIONS}
    assert options - arguments == (set(CELLS_ONLY) | {"param", "no_stream"})
    assert arguments - options == set(PYTHON_ONLY)


@pytest.mark.parametrize("option", ASK_OPTIONS, ids=lambda option: option.flags[-1])
def test_arguments_have_the_type_and_default_of_their_options(option: Option) -> None:
    name, default = option_name(option)
    if name in CELLS_ONLY or name in OTHER_ARGUMENTS:
        return
    hint = get_type_hints(cfai_magics.ask)[name]
    expected = option_type(option)
    assert hint == (expected | None if default is None else expected)
    assert parameters(cfai_magics.ask)[name].default == default


def test_ask_stream_map_and_build_request_have_the_fields_of_a_request() -> None:
    fields = set(parameters(Request)) - {"messages", "requested_model"}
    for name in REQUEST_FUNCTIONS:
        assert fields <= set(parameters(ALL[name])), name
    assert parameters(cfai_magics.ask) == parameters(cfai_magics.stream)
    ask_arguments = {**parameters(cfai_magics.ask)}
    request_arguments = parameters(Session.build_request)
    assert set(ask_arguments) - set(request_arguments) == {
        "prompt",
        "system",
        "max_neurons",
        "gateway",
    }
    assert set(request_arguments) - set(ask_arguments) == {"messages"}
    # A map uses the gateway of the settings, and its rows have no column for tokens.
    assert set(ask_arguments) - set(parameters(cfai_magics.map)) == {"prompt", "gateway", "probs"}


@pytest.mark.usefixtures("own_session")
def test_every_field_reaches_the_request(account: Standin) -> None:
    fields: dict[str, Any] = {
        "model": "qwen3-30b-a3b-fp8",
        "system": "Be brief.",
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 7,
        "stop": ["END"],
        "think": True,
        "stream": False,
        "extra": {"top_k": 5},
    }
    cfai_magics.ask("hi", **fields)
    list(cfai_magics.stream("hi", **fields))
    cfai_magics.map("{text}", ["hi"], **fields, fresh=True)
    session = api.get_current_session()
    system = {"role": "system", "content": fields.pop("system")}
    session.ask(session.build_request([system, {"role": "user", "content": "hi"}], **fields))
    bodies = [each.json for each in account.requests]
    assert len(bodies) == 4
    assert all(body == bodies[0] for body in bodies)
    assert bodies[0] == {
        "model": "@cf/qwen/qwen3-30b-a3b-fp8",
        "messages": [system, {"role": "user", "content": "hi"}],
        "stream": False,
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 7,
        "stop": ["END"],
        "chat_template_kwargs": {"enable_thinking": True},
        "top_k": 5,
    }


def documented(function: Function) -> list[str]:
    """Return the names in the section Args of a docstring."""
    doc = inspect.getdoc(function) or ""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", doc, re.MULTILINE | re.DOTALL)
    return re.findall(r"^ {4}(\w+): ", section[1], re.MULTILINE) if section else []


@pytest.mark.parametrize("name", ALL)
def test_docstrings_describe_all_arguments_or_name_the_function_that_does(name: str) -> None:
    function = ALL[name]
    doc = inspect.getdoc(Session if name == "Session" else function) or ""
    names = documented(function)
    if names:
        assert names == list(parameters(function))
    elif len(parameters(function)) > 2 and name not in {"Session", "WorkersAI"}:
        assert re.search(r"as (?:for|in) `?\w+", doc), doc


COMPLETIONS: dict[str, str] = {
    "ask('x', temp": "temperature=",
    "cfai_magics.ask('x', max_t": "max_tokens=",
    "stream('x', top": "top_p=",
    "map('{text}', [], conc": "concurrency=",
    "embed([], mod": "model=",
    "similarity([], mod": "model=",
    "run('m', {}, content": "content_type=",
    "session.build_request([], temp": "temperature=",
    "session.ask(1, max_n": "max_neurons=",
    "session.to_markdown([], max_n": "max_neurons=",
    "WorkersAI('', timeo": "timeout=",
    "client.run('m', {}, content": "content_type=",
}


@pytest.mark.usefixtures("own_session")
@pytest.mark.parametrize("use_jedi", [True, False], ids=["jedi", "no jedi"])
def test_ipython_completes_the_names_of_arguments(
    shell: InteractiveShell, use_jedi: bool, account: Standin
) -> None:
    with WorkersAI(account.account_id, account.token) as client:
        shell.push({name: getattr(cfai_magics, name) for name in FUNCTIONS})
        shell.push({"cfai_magics": cfai_magics, "WorkersAI": WorkersAI, "client": client})
        shell.push({"session": api.get_current_session()})
        shell.Completer.use_jedi = use_jedi
        found = {text: next(iter(completions(shell, text)), "") for text in COMPLETIONS}
    assert found == COMPLETIONS


def completions(shell: InteractiveShell, text: str) -> Iterator[str]:
    with provisionalcompleter():
        all_completions: Iterable[Any] = shell.Completer.completions(text, len(text))
        return (each.text for each in list(all_completions) if each.text.endswith("="))
