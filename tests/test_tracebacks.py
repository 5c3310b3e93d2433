"""No local variable in a traceback contains a token, at any depth of a call."""

import copy
import json
import os
import pickle
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import httpx
import pytest

from cfai_magics.backends.credentials import (
    FILE_NAME,
    Credentials,
    CredentialStore,
    parse_account_id,
    parse_token,
)
from cfai_magics.backends.selector import log_in
from cfai_magics.cli import main
from cfai_magics.commands import export, login
from cfai_magics.errors import (
    AuthenticationError,
    CfaiError,
    InvalidAccountIdError,
    InvalidOptionError,
)
from cfai_magics.secret import Environment, Secret
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai
from cfai_magics.workers_ai.client import WorkersAI
from tests.canaries import account_id, class_key, token
from tests.kernels import Kernel, running_kernel
from tests.standin import Reply, Standin

pytestmark = pytest.mark.slow

THEIRS = ("httpx", "httpcore", "h11")
PLACES = ("cfai_magics", *THEIRS, "json", "keyring", "os", "tenacity")  # modules
READERS = (
    "httpx._models",
    "httpx._status_codes",
)  # they read the status and headers of a response
RELEASES = ("__exit__", "close")  # an error instead of a release leaves a lock locked
SERVER_KEY = f"sk-{token()[5:]}"
CLASS_KEY = class_key()
HERE = str(Path(__file__).parent)


class Injected(Exception):
    """An unexpected error: a bug."""


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its chained errors, displayed or not."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            waiting += [each.__context__, each.__cause__]
            yield each


def frames(error: BaseException) -> Iterator[FrameType]:
    for each in chain(error):
        yield from (frame for frame, _ in traceback.walk_tb(each.__traceback__))


def shown(error: BaseException) -> str:
    """Return all text that an error tracker could show: messages, notes and variables."""
    parts = [f"{each!r} {vars(each)!r}" for each in chain(error)]
    for frame in frames(error):
        if not frame.f_code.co_filename.startswith(HERE):
            parts += map(reprlike, frame.f_locals.values())
    return "\n".join(parts)


def reprlike(value: object) -> str:
    try:
        return repr(value)
    except AttributeError:  # an object whose constructor was interrupted
        return ""


def is_of_httpx(frame: FrameType) -> bool:
    """Return True if the frame is in httpx or below, except reads of a status or header."""
    module = str(frame.f_globals.get("__name__"))
    return module.partition(".")[0] in THEIRS and module not in READERS


@contextmanager
def traced(function: Callable[[FrameType, str, object], None]) -> Iterator[None]:
    """Trace the calls in the block, then restore the trace function of coverage."""
    before = sys.gettrace()
    sys.settrace(function)
    try:
        yield
    finally:
        sys.settrace(before)


def calls_of(call: Callable[[], object]) -> list[CodeType]:
    """Return each function that runs in a call, except functions that release something."""
    found: dict[CodeType, None] = {}

    def collect(frame: FrameType, event: str, _arg: object) -> None:
        code = frame.f_code
        module = str(frame.f_globals.get("__name__")).partition(".")[0]
        if event == "call" and code.co_name not in RELEASES and module in PLACES:
            found[code] = None

    with traced(collect):
        call()
    return list(found)


def raised_in(call: Callable[[], object], place: CodeType, error: BaseException) -> Any:
    """Run the call, raise the error in the first call of `place`; return the resulting error."""

    def raise_error(frame: FrameType, event: str, _arg: object) -> None:
        if event == "call" and frame.f_code is place:
            sys.settrace(None)
            raise error

    try:
        with traced(raise_error):
            call()
    except BaseException as raised:  # noqa: BLE001 - the test checks it
        return raised
    return None


class Prompts:
    """A front end whose user types these answers."""

    def __init__(self, session: Session, *answers: Secret) -> None:
        self.session = session
        self._answers = list(answers)

    def prompt_secret(self, _question: str) -> str:
        return self._answers.pop(0).reveal()

    prompt_account_id = prompt_secret

    def print(self, _line: str) -> None:
        pass


def options(**values: Any) -> Any:
    empty = dict.fromkeys(("server", "class_url", "file", "path"), "")
    return type("Options", (), {**empty, "anyway": True, **values})


def use_environment(account: Standin, home: Path) -> Callable[[], object]:
    def ask() -> object:
        session = Session(Cfai(), home)
        try:
            return session.ask(session.build_request([{"role": "user", "content": "Hi"}]))
        finally:
            session.close()

    return ask


def use_file(account: Standin, home: Path) -> Callable[[], object]:
    CredentialStore(home, {}).save(account.account_id, Secret(account.token))
    environ = Environment({"CLOUDFLARE_API_BASE_URL": account.base_url})

    def ask() -> object:
        session = Session(Cfai(), home, environ=environ)
        try:
            return session.embed(["Hi"])
        finally:
            session.close()

    return ask


def use_server_key(account: Standin, home: Path) -> Callable[[], object]:
    address = f"{account.base_url}/accounts/{account.account_id}/ai/v1"
    CredentialStore(home, {}).save_server_key(address, Secret(SERVER_KEY))
    environ = Environment({"CFAI_BASE_URL": address})

    def ask() -> object:
        session = Session(Cfai(), home, environ=environ)
        try:
            return session.ask(session.build_request([{"role": "user", "content": "Hi"}], "m"))
        except AuthenticationError:  # the stand-in does not know the key
            return None
        finally:
            session.close()

    return ask


def use_login(account: Standin, home: Path) -> Callable[[], object]:
    session = Session(Cfai(), home)
    answers = Secret(account.account_id), Secret(account.token)
    return lambda: login.run(Prompts(session, *answers), options())  # type: ignore[arg-type]


def use_class_login(account: Standin, home: Path) -> Callable[[], object]:
    body = {"name": "Ada", "budget": 300, "spent": 0, "reserved": 0}
    account.switch(canned=Reply(json.dumps(body).encode()), error_path="/me")
    session, key = Session(Cfai(), home), Secret(CLASS_KEY)
    return lambda: login.run(
        Prompts(session, key),  # type: ignore[arg-type]
        options(class_url=account.base_url),
    )


def use_class_key(account: Standin, home: Path) -> Callable[[], object]:
    answer = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
    account.switch(canned=Reply(json.dumps(answer).encode()))
    environ = Environment({"CFAI_CLASS_SERVER": account.base_url, "CFAI_API_KEY": CLASS_KEY})

    def ask() -> object:
        session = Session(Cfai(), home, environ=environ)
        try:
            return session.ask(session.build_request([{"role": "user", "content": "Hi"}]))
        finally:
            session.close()

    return ask


def use_panel_login(account: Standin, home: Path) -> Callable[[], object]:
    session = Session(Cfai(), home)
    found = Credentials(account.account_id, Secret(account.token), "the panel")
    return lambda: log_in(session.backend, found)


def use_export(account: Standin, home: Path) -> Callable[[], object]:
    session, path = Session(Cfai(), home), home / "simple.json"

    def write() -> object:
        path.unlink(missing_ok=True)
        return export.run(Prompts(session), options(path=str(path)))  # type: ignore[arg-type]

    return write


def use_shell(account: Standin, home: Path) -> Callable[[], object]:
    def ask() -> None:
        if main(["ask", "Hi"]):
            raise KeyboardInterrupt

    return ask


ENTRIES = (
    use_environment,
    use_file,
    use_server_key,
    use_login,
    use_class_login,
    use_class_key,
    use_panel_login,
    use_export,
    use_shell,
)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # errors leave resources open on purpose
@pytest.mark.parametrize(
    ("entry", "kind"),
    [(use_environment, Injected), *((entry, KeyboardInterrupt) for entry in ENTRIES)],
    ids=lambda it: it.__name__.removeprefix("use_"),
)
def test_no_error_at_any_depth_of_a_call_shows_the_token(
    account: Standin,
    home: Path,
    entry: Callable[[Standin, Path], Callable[[], object]],
    kind: type[BaseException],
) -> None:
    call = entry(account, home)
    call()  # import what is imported on first use
    raised = 0
    step = 1 if (entry, kind) == (use_environment, KeyboardInterrupt) else 4  # to save time
    for place in calls_of(call)[::step]:
        error = raised_in(call, place, kind())
        if error is None:
            continue
        raised += 1
        report = shown(error)
        location = f"{place.co_filename}:{place.co_name}"
        assert account.token not in report, location
        assert SERVER_KEY not in report, location
        assert CLASS_KEY not in report, location
        if isinstance(error, kind):
            assert not any(map(is_of_httpx, frames(error))), location
    assert raised > 30 / step


class Broken(httpx.BaseTransport):
    """A transport that raises this error for every request."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"]
        raise self._error


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), Injected(), httpx.ReadError("x")], ids=repr
)
@pytest.mark.parametrize("method", ["chat", "models", "embed", "run", "check"])
def test_transport_errors_contain_no_httpx_frame(
    account: Standin, home: Path, error: BaseException, method: str
) -> None:
    session = Session(Cfai(), home, transport=Broken(error))
    client = WorkersAI(
        account.account_id, Secret(account.token), transport=Broken(error), sleep=lambda _: None
    )
    calls: dict[str, Callable[[], object]] = {
        "chat": lambda: session.ask(session.build_request([{"role": "user", "content": "Hi"}])),
        "models": client.list_models,
        "embed": lambda: client.embed(["Hi"], "@cf/baai/bge-m3"),
        "run": lambda: client.run("@cf/x/y", {"a": 1}),
        "check": client.check_token,
    }
    if method == "chat" and isinstance(error, httpx.ReadError):
        pytest.skip("the session waits between retries")
    with pytest.raises((type(error), CfaiError)) as caught:
        calls[method]()
    assert not any(map(is_of_httpx, frames(caught.value)))
    assert account.token not in shown(caught.value)
    session.close()


@pytest.fixture
def verbose(account: Standin) -> Iterator[Kernel]:
    with running_kernel() as kernel:
        kernel.run("%xmode Verbose")
        kernel.run("import cfai_magics")
        yield kernel


def test_an_interrupted_ask_shows_no_token_in_verbose_mode(
    verbose: Kernel, account: Standin
) -> None:
    account.switch(delay_before_headers=300)
    running = verbose.start("cfai_magics.ask('Hi')")
    assert account.wait_for(lambda server: bool(server.requests), 60)
    cell = verbose.interrupt(running)
    report = "\n".join(cell.traceback)
    assert cell.ename == "KeyboardInterrupt"
    assert "cfai_magics/api.py" in report
    assert account.token not in report
    assert not [name for name in THEIRS if f"/{name}/" in report]


CLIENTS = {
    "a wrong account": lambda value: WorkersAI("bad", value),
    "bytes": lambda value: WorkersAI(account_id(), value.encode()),  # type: ignore[arg-type]
    "a list": lambda value: WorkersAI(account_id(), [value]),  # type: ignore[arg-type]
    "an account as bytes": lambda value: WorkersAI(value.encode(), "none"),  # type: ignore[arg-type]
    "an account in a list": lambda value: WorkersAI([value], "none"),  # type: ignore[arg-type]
    "an account in a dict": lambda value: WorkersAI(account_id={"id": value}, api_token=""),  # type: ignore[arg-type]
    "an account by another name": lambda value: WorkersAI(account=value.encode()),  # type: ignore[call-arg]
    "a token by another name": lambda value: WorkersAI(account_id(), token=[value]),  # type: ignore[call-arg]
    "another server": lambda value: WorkersAI.openai_compatible("http://a", [value]),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("new_client", CLIENTS.values(), ids=CLIENTS)
def test_a_rejected_argument_of_a_client_shows_no_token(
    new_client: Callable[[str], WorkersAI],
) -> None:
    value = token()
    with pytest.raises(CfaiError) as caught:
        new_client(value)
    assert value not in str(caught.value)
    frames = traceback.walk_tb(caught.value.__traceback__)
    ours = [frame for frame, _line in frames if "cfai_magics" in frame.f_globals["__name__"]]
    assert ours
    for frame in ours:
        assert value not in repr(frame.f_locals)


def test_a_bug_reports_its_location_without_its_frames(account: Standin, home: Path) -> None:
    session = Session(Cfai(), home, transport=Broken(Injected()))
    with pytest.raises(Injected) as caught:
        session.ask(session.build_request([{"role": "user", "content": "Hi"}]))
    session.close()
    assert "handle_request" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda secret: WorkersAI("bad", secret), id="a wrong account ID"),
        pytest.param(lambda secret: WorkersAI(secret, "0" * 32), id="swapped"),
        pytest.param(lambda secret: WorkersAI("0" * 32, f"{secret} "), id="a wrong token"),
        pytest.param(
            lambda secret: WorkersAI.openai_compatible("http://x/v1", f"{secret}ż"),
            id="a wrong key",
        ),
        pytest.param(lambda secret: parse_token(f"{secret} ż"), id="typed with a space"),
        pytest.param(parse_account_id, id="typed in place of the account ID"),
    ],
)
def test_a_rejected_token_gives_a_two_line_error_without_the_token(
    make: Callable[[str], object],
) -> None:
    canary = token()
    with pytest.raises((InvalidOptionError, InvalidAccountIdError)) as caught:
        make(canary)
    assert canary not in shown(caught.value)
    assert len(caught.value._render_traceback_()) == 1


@pytest.mark.parametrize("name", ["CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_TOKEN"])
def test_invalid_environment_variables_show_no_token_in_a_traceback(home: Path, name: str) -> None:
    canary = token()
    with pytest.raises(CfaiError) as caught:
        CredentialStore(home, Environment({name: canary})).find()
    assert canary not in shown(caught.value)


def test_credentials_without_an_account_show_no_token_in_a_traceback(home: Path) -> None:
    canary = token()
    home.mkdir()
    (home / FILE_NAME).write_text(f'{{"api_token": "{canary}"}}')
    with pytest.raises(CfaiError) as caught:
        CredentialStore(home, {}).find()
    assert canary not in shown(caught.value)


def objects_with(secret: Secret) -> dict[str, object]:
    client = WorkersAI(account_id(), secret, transport=httpx.MockTransport(lambda _: None))  # type: ignore[arg-type,return-value]
    return {
        "secret": secret,
        "credentials": Credentials(account_id(), secret, "a test"),
        "client": client,
        "session": Session(Cfai(), Path(os.devnull), environ={"CLOUDFLARE_API_TOKEN": "t"}),
        "environment": Environment({"CLOUDFLARE_API_TOKEN": secret.reveal()}),
    }


@pytest.mark.parametrize("name", ["secret", "credentials", "client", "session", "environment"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_objects_with_a_token_cannot_be_pickled(name: str, protocol: int) -> None:
    secret = Secret(token())
    with pytest.raises(TypeError) as caught:
        pickle.dumps(objects_with(secret)[name], protocol)
    assert secret.reveal() not in str(caught.value)
    assert str(caught.value).count("\n") <= 1


def auth_of(client: WorkersAI) -> httpx.Auth:
    """Return the auth of a client's requests, read from its frames."""
    found: list[httpx.Auth] = []

    def collect(frame: FrameType, event: str, _arg: object) -> None:
        if event == "call" and frame.f_code.co_name == "auth_flow":
            found.append(frame.f_locals["self"])

    with traced(collect):
        client.list_models()
    return found[0]


@pytest.mark.parametrize("take", [pickle.dumps, copy.deepcopy], ids=["pickle", "deepcopy"])
def test_the_httpx_auth_cannot_be_pickled_and_shows_no_token(
    account: Standin, take: Callable[[object], object]
) -> None:
    with WorkersAI(account.account_id, account.token, base_url=account.base_url) as client:
        auth = auth_of(client)
    assert account.token not in f"{auth!r} {vars(auth)!r}"
    with pytest.raises(TypeError) as caught:
        take(auth)
    assert account.token not in str(caught.value)


def test_no_attribute_of_a_secret_shows_it() -> None:
    secret = Secret(token())
    assert secret.reveal() not in repr([getattr(secret, name) for name in dir(secret)])
    with pytest.raises(TypeError):
        asdict(Credentials(account_id(), secret, "a test"))


def test_a_pickled_response_has_no_header_with_the_token(account: Standin) -> None:
    responses: list[httpx.Response] = []

    class Listening(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            responses.append(super().handle_request(request))
            return responses[-1]

    with WorkersAI(
        account.account_id, account.token, base_url=account.base_url, transport=Listening()
    ) as client:
        client.list_models()
    assert b"models/search" in pickle.dumps(responses)
    assert account.token.encode() not in pickle.dumps(responses)
