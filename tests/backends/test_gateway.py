"""AI Gateway: routing, cache notes and errors."""

import json
from pathlib import Path

import pytest

from cfai_magics import cli
from cfai_magics.commands import run
from cfai_magics.display.footer import format_usage_footer
from cfai_magics.errors import (
    BadRequestError,
    CoursePolicyError,
    GatewayLimitError,
    InvalidOptionError,
)
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai, load_settings, update_settings_file
from cfai_magics.types.messages import Message
from tests.fake_frontends import bare_frontend
from tests.standin import Standin

HI: list[Message] = [{"role": "user", "content": "Hi"}]
NAME, METADATA = "cf-aig-gateway-id", "cf-aig-metadata"


@pytest.fixture
def through(account: Standin, session: Session) -> Session:
    """A session whose calls go through a caching gateway."""
    account.switch(gateways=("class", "other"), gateway_caches=True)
    session.settings.gateway = "class"
    session.settings.metadata = {"student": "ada", "group": 3, "exam": False}
    return session


def test_calls_go_directly_unless_told(session: Session, account: Standin) -> None:
    answer = session.ask(session.build_request(HI))
    assert answer.endpoint == ""
    assert not {NAME, METADATA} & set(account.requests[0].headers)


def test_every_kind_of_call_goes_through_it_with_its_metadata(
    through: Session, account: Standin
) -> None:
    through.ask(through.build_request(HI))
    through.embed(["a"])
    through.run("flux-1-schnell", {"prompt": "a boat"})
    for request in account.requests:
        assert request.headers[NAME] == "class"
        assert json.loads(request.headers[METADATA]) == {
            "student": "ada",
            "group": 3,
            "exam": False,
        }
        assert request.token == account.token
    assert len(account.requests) == 3


def test_a_copy_out_of_the_cache_costs_nothing_and_says_so(
    through: Session, account: Standin
) -> None:
    first = through.ask(through.build_request(HI))
    copy = through.ask(through.build_request(HI))
    assert copy.text == first.text
    assert (first.endpoint, copy.endpoint) == (
        "gateway class, cache miss",
        "gateway class, cache hit",
    )
    assert (first.neurons, first.cost_basis) == (account.billed, "billed")
    assert (copy.neurons, copy.cost_basis) == (0.0, "billed")
    assert copy.usage.completion_tokens == first.usage.completion_tokens
    assert "0 neurons billed" in format_usage_footer(copy, "full")
    assert "gateway class, cache hit" in format_usage_footer(copy, "full")
    assert through.accounting.day_usage().billed == pytest.approx(account.billed)


def test_copies_of_vectors_and_pictures_cost_nothing_too(
    through: Session, account: Standin
) -> None:
    for _ in range(2):
        vectors = through.embed(["a"])
        picture = through.run("flux-1-schnell", {"prompt": "a boat"})
    assert (vectors.usage.neurons, picture.neurons) == (0.0, 0.0)
    assert through.accounting.day_usage().spent == pytest.approx(account.billed, rel=0.01)


def test_copies_do_not_count_as_bills_of_a_model(through: Session) -> None:
    for _ in range(5):
        through.ask(through.build_request(HI))
    model = through.resolve_model("gemma-4-26b-a4b-it")
    assert len(through.accounting.ledger.recent_billed_usage(model.name)) == 1


def test_the_line_of_a_cell_names_one_or_none(
    account: Standin, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account.switch(gateways=("class", "other"))
    update_settings_file(home, {"gateway": "class"})
    for line in ([], ["--gateway", "other"], ["--gateway", "off"]):
        assert cli.main(["ask", "Hi", *line]) == 0
    named = [request.headers.get(NAME) for request in account.requests]
    assert named == ["class", "other", None]
    assert "gateway other" in capsys.readouterr().err


def test_a_gateway_that_is_not_there_is_told(session: Session, account: Standin) -> None:
    with pytest.raises(BadRequestError, match="AI Gateway") as caught:
        session.stream(session.build_request(HI), gateway="nowhere").__iter__().__next__()
    assert "--gateway off" in str(caught.value)
    assert session.accounting.day_usage().spent == 0


def test_a_spend_limit_is_told_at_once_and_not_tried_again(
    through: Session, account: Standin
) -> None:
    account.switch(gateway_calls=1)
    through.ask(through.build_request(HI))
    with pytest.raises(GatewayLimitError, match="Spend limit"):
        through.ask(through.build_request([{"role": "user", "content": "Again"}]))
    assert len(account.requests) == 2
    through.settings.metadata = {"student": "bob"}
    assert through.ask(through.build_request([{"role": "user", "content": "Again"}])).text


@pytest.mark.parametrize("name", ["a b", "a/b", "ü", "x" * 65, "a\r\nb: c"])
def test_what_is_no_name_sends_nothing(session: Session, account: Standin, name: str) -> None:
    with pytest.raises(InvalidOptionError, match="not a valid gateway name"):
        session.stream(session.build_request(HI), gateway=name)
    assert account.requests == ()


@pytest.mark.parametrize("metadata", [{"a": [1]}, {"a b": 1}, dict.fromkeys("abcdef", 1)])
def test_metadata_that_it_does_not_take_sends_nothing(
    session: Session, account: Standin, metadata: dict[str, object]
) -> None:
    session.settings.gateway, session.settings.metadata = "class", metadata
    with pytest.raises(InvalidOptionError, match="metadata"):
        session.ask(session.build_request(HI))
    assert account.requests == ()


def test_metadata_in_any_script_arrives(through: Session, account: Standin) -> None:
    through.settings.metadata = {"student": "李 雷\n"}
    through.ask(through.build_request(HI))
    assert json.loads(account.requests[0].headers[METADATA]) == {"student": "李 雷\n"}


def test_it_is_kept_and_status_shows_where_it_comes_from(account: Standin, home: Path) -> None:
    update_settings_file(home, {"gateway": "class"})
    (home / "settings.toml").write_text('gateway = "class"\nmetadata = { "student" = "ada" }')
    update_settings_file(home, {"max_tokens": 7})
    session = Session(load_settings(home), home)
    frontend = bare_frontend(session)
    status = str(run("status", [], frontend, "%cfai"))
    for name, value in (("gateway", "class"), ("metadata student", "ada")):
        line = next(line for line in status.splitlines() if line.startswith(name))
        assert value in line
        assert line.endswith("settings.toml")
    session.close()


def test_a_course_s_gateway_holds_and_its_metadata_wins(
    account: Standin, home: Path, tmp_path: Path
) -> None:
    account.switch(gateways=("class",))
    course = 'gateway = "class"\n[metadata]\ncourse = "Physics 1"'
    (tmp_path / "cfai.toml").write_text(course)
    settings = load_settings(home, None, tmp_path)
    settings.metadata = {"student": "ada", "course": "none"}
    session = Session(settings, home)
    session.ask(session.build_request(HI))
    headers = account.requests[0].headers
    assert headers[NAME] == "class"
    assert json.loads(headers[METADATA]) == {"student": "ada", "course": "Physics 1"}
    for name in ("off", "other"):
        with pytest.raises(CoursePolicyError, match="gateway class"):
            session.stream(session.build_request(HI), gateway=name)
    for name, value in (("gateway", "other"), ("base_url", "http://127.0.0.1:9/v1")):
        with pytest.raises(CoursePolicyError, match="gateway class"):
            setattr(settings, name, value)
    session.close()


def test_on_this_machine_there_is_none(home: Path) -> None:
    session = Session(Cfai(gateway="class"), home)
    session.backend.local_server = object()  # type: ignore[assignment]
    assert session.backend.resolve_gateway() is None
    with pytest.raises(InvalidOptionError, match="another server"):
        session.backend.resolve_gateway("class")
