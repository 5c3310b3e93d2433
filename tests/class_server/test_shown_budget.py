"""A session shows the budget that the real class server reports, and asks it again."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cfai_magics.commands import run
from cfai_magics.display.footer import format_usage_footer
from cfai_magics.errors import CfaiError
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai
from cfai_magics.types.messages import Answer, Message
from tests.class_server import ClassServer
from tests.fake_frontends import bare_frontend
from tests.standin import Standin

HI: list[Message] = [{"role": "user", "content": "Hi"}]


def start_session(home: Path, server: ClassServer, key: str) -> Session:
    environ = {"CFAI_CLASS_SERVER": server.url, "CFAI_API_KEY": key}
    return Session(Cfai(), home, environ=environ)


@pytest.fixture
def session(home: Path, server: ClassServer, key: str) -> Iterator[Session]:
    """A session of a student; the class has a share of 300 neurons."""
    session = start_session(home, server, key)
    yield session
    session.close()


def ask(session: Session) -> Answer:
    return session.ask(session.build_request(HI))


def command(session: Session, line: str) -> str:
    name, *options = line.split()
    return str(run(name, options, bare_frontend(session), "%cfai"))


def test_the_first_answer_shows_the_class_budget(session: Session, cloudflare: Standin) -> None:
    assert session.day_usage().limit is None
    footer = str(format_usage_footer(ask(session), "full"))
    assert re.search(r"today [\d.]+ of your class budget of 300, resets in", footer)
    day = session.day_usage()
    assert (day.limit, day.limit_source) == (300, "class")
    assert day.spent == pytest.approx(cloudflare.billed)
    assert day.elsewhere == 0


def test_calls_from_another_device_count(
    session: Session, server: ClassServer, key: str, tmp_path: Path, cloudflare: Standin
) -> None:
    other = start_session(tmp_path / "other", server, key)
    cloudflare.switch(answer="word " * 100)
    elsewhere = ask(other).neurons
    other.close()
    server.settled(key)
    answer = ask(session)
    assert elsewhere is not None
    assert answer.neurons is not None
    assert session.day_usage().elsewhere == pytest.approx(elsewhere, rel=0.01)
    server.settled(key)
    total = f"{elsewhere + answer.neurons:.1f}"
    assert re.search(rf"today, your class budget +300 +{total}", command(session, "budget"))
    assert f"{total} of your class budget of 300 neurons are used today." in command(
        session, "usage"
    )


def test_parallel_calls_do_not_count_the_reservations_of_each_other(
    session: Session, server: ClassServer, key: str, cloudflare: Standin
) -> None:
    ask(session)
    before = cloudflare.billed
    cloudflare.switch(answer="word " * 20, tokens_per_second=100)
    with session.parallel([session.build_request(HI) for _ in range(4)]) as streams:
        for _index, _event in streams:
            pass
    assert cloudflare.billed > before
    assert session.day_usage().spent == pytest.approx(server.settled(key)["spent"], rel=0.05)


def test_commands_ask_for_a_budget_that_the_teacher_changed(
    session: Session, server: ClassServer, name: str
) -> None:
    assert re.search(r"today, your class budget +300 +0 +300", command(session, "budget"))
    server.admin("PATCH", f"students/{name}", {"budget": 50})
    assert re.search(r"today, your class budget +50 +0 +50", command(session, "budget"))
    server.admin("PATCH", f"students/{name}", {"budget": 60})
    assert "of your class budget of 60 neurons" in command(session, "usage")
    server.admin("PATCH", f"students/{name}", {"budget": 70})
    assert re.search(r"class budget +0 of 70\.0 neurons used today", command(session, "status"))
    assert session.day_usage().limit == 70


def test_a_used_up_budget_ends_when_the_teacher_raises_it(
    session: Session, server: ClassServer, name: str
) -> None:
    server.admin("PATCH", f"students/{name}", {"budget": 0})
    with pytest.raises(CfaiError) as caught:
        ask(session)
    assert not re.search(r"free neurons|plan|reopen|dashboard", str(caught.value))
    assert session.day_usage().limit == 0
    server.admin("PATCH", f"students/{name}", {"budget": 50})
    assert ask(session).text


def test_an_unreachable_server_keeps_the_last_report(
    home: Path, cloudflare: Standin, name: str
) -> None:
    with ClassServer(cloudflare) as server:
        session = start_session(home, server, server.add_student(name, budget=40))
        command(session, "budget")
    output = command(session, "budget")
    session.close()
    assert re.search(r"today, your class budget +40 +0 +40", output)
