"""The whole panel: panels stay in sync, and closed panels leave no widgets."""

import gc
import threading
import weakref
from pathlib import Path

import pytest
from ipywidgets import Widget

import cfai_magics
from cfai_magics.commands import run
from cfai_magics.frontends.shell import create_shell_frontend
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai, load_settings
from cfai_magics.widgets.inputs import remove_folders
from cfai_magics.widgets.panel import Panel, open_panel
from tests.session.test_observers import Notifications, watching_threads
from tests.standin import Standin
from tests.widgets.conftest import all_state, enter, press_enter, type_in

pytestmark = pytest.mark.slow

COURSE = """
model = "gpt-oss-20b"
system = "Hints only."
locked = ["model", "system"]
[budget]
day = 50
"""
WIDGETS = "application/vnd.jupyter.widget-view+json"


def test_all_panels_of_a_session_stay_in_sync(session: Session, sent: list[str]) -> None:
    first, second = Panel(session), Panel(session)
    names = [name for _, name in first.models.model_list.options]
    enter(first.models.model_list, index=names.index("@cf/openai/gpt-oss-20b"))
    enter(second.defaults.system, value="Short.")
    enter(first.usage.budget_input, value="500")
    assert second.models.model_list.value == "@cf/openai/gpt-oss-20b"
    assert first.defaults.system.value == "Short."
    assert "of 500 neurons" in second.usage.gauge.value
    first.close()
    second.close()


def test_only_changed_state_is_sent(panel: Panel, sent: list[str]) -> None:
    before = len(sent)
    panel.refresh()
    panel.session.observers.notify()
    assert len(sent) == before


def widget_count() -> int:
    return len(Widget.get_manager_state()["state"])


def test_closed_panels_leave_no_widgets_or_threads(session: Session, sent: list[str]) -> None:
    Panel(session).close()  # creates what all panels share
    widgets, threads = widget_count(), threading.active_count()
    references = []
    for _ in range(100):
        panel = Panel(session)
        references.append(weakref.ref(panel))
        panel.close()
        panel.close()
    del panel
    gc.collect()
    assert widget_count() == widgets
    assert not session.resources
    assert [ref for ref in references if ref() is not None] == []
    assert Notifications().until(lambda: not watching_threads())
    assert threading.active_count() <= threads
    opened = sum('"comm_open"' in message for message in sent)
    closed = sum('"comm_close"' in message for message in sent)
    assert opened == closed > 100


def test_the_command_shows_the_same_panel_until_it_is_closed(
    session: Session, sent: list[str]
) -> None:
    frontend = create_shell_frontend(session)._replace(supports_widgets=True)
    panel = run("panel", [], frontend, "%cfai")
    assert isinstance(panel, Panel)
    assert run("panel", [], frontend, "%cfai") is panel
    bundle = panel._repr_mimebundle_()
    assert bundle[WIDGETS]["model_id"] == panel.box.model_id
    assert bundle["text/plain"] == str(panel)
    panel.close()
    again = open_panel(session)
    assert again is not panel
    session.close()
    assert not session.resources
    assert Notifications().until(lambda: not watching_threads()), "a panel still watches"


def test_widget_state_and_text_contain_no_local_path(
    empty_panel: Panel, cloudflare: Standin, sent: list[str]
) -> None:
    type_in(empty_panel.account.account_id_field, cloudflare.account_id)
    press_enter(empty_panel.account.token_field, cloudflare.token)
    empty_panel.account.remove_button.click()
    empty_panel.account.confirm_button.click()
    assert "credentials.json" in "".join(sent)
    for text in (all_state(), "".join(sent), str(empty_panel)):
        assert str(empty_panel.session.home) not in text
        assert str(Path.home()) + "/" not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("in the file /state of Jane/ledger.sqlite.", "in the file ledger.sqlite."),
        ("The file '/tmp/a/b.json' is damaged", "The file 'b.json' is damaged"),
        ("~/lessons/cfai.toml allows only", "cfai.toml allows only"),
        (r"C:\Users\Jane\cfai.toml", "cfai.toml"),
        ("文件/home/jane/x.json", "文件x.json"),
        (
            "@cf/meta/llama at https://example.com/v1/x",
            "@cf/meta/llama at https://example.com/v1/x",
        ),
    ],
)
def test_paths_are_shortened_to_file_names(text: str, expected: str) -> None:
    assert remove_folders(text, Path("/state of Jane")) == expected


def test_the_panel_is_text_without_widget_support(session: Session, account: Standin) -> None:
    session.settings.temperature = 0.5
    text = str(run("panel", [], create_shell_frontend(session), "cfai"))
    assert f"…{account.account_id[-4:]}, from the environment" in text
    assert "@cf/google/gemma-4-26b-a4b-it" in text
    assert "0 of 10,000 neurons used (0 billed, 0 estimated), 0 reserved" in text
    assert "00:00 UTC" in text
    assert account.token not in text
    assert account.account_id not in text
    assert not session.resources


def test_the_text_reports_a_missing_account_and_a_local_model(home: Path) -> None:
    session = Session(Cfai(), home, environ={})
    assert "No Cloudflare account is set" in str(
        run("panel", [], create_shell_frontend(session), "cfai")
    )
    session.settings.local = "small"
    assert "local model" in str(run("panel", [], create_shell_frontend(session), "cfai"))
    session.close()


def test_the_package_exports_the_panel(own_session: None, sent: list[str]) -> None:
    panel = cfai_magics.panel()
    assert cfai_magics.panel() is panel
    panel.close()


def test_a_ledger_error_is_shown_in_the_panel(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.session.accounting.ledger.close()
    panel.session.accounting.ledger.path.write_bytes(b"not a database" * 100)
    for end in ("-wal", "-shm"):
        panel.session.home.joinpath(f"ledger.sqlite{end}").unlink(missing_ok=True)
    panel.refresh()
    assert "can&#x27;t be used" in panel.usage.gauge.value


def test_settings_locked_by_a_course_cannot_be_changed(
    account: Standin, home: Path, tmp_path: Path, sent: list[str]
) -> None:
    (tmp_path / "cfai.toml").write_text(COURSE)
    session = Session(load_settings(home, working_directory=tmp_path), home)
    panel = Panel(session)
    names = [name for _, name in panel.models.model_list.options]
    enter(panel.models.model_list, index=0)
    assert session.settings.model == "gpt-oss-20b"
    assert panel.models.model_list.value == "@cf/openai/gpt-oss-20b"
    assert names[0] != "@cf/openai/gpt-oss-20b"
    assert "cfai.toml allows only" in panel.models.message.value
    enter(panel.defaults.system, value="Give full solutions.")
    assert panel.defaults.system.value == "Hints only."
    assert "and locks it" in panel.defaults.message.value
    assert "of 50 neurons" in panel.usage.gauge.value
    assert panel.usage.budget_input.value == ""
    assert "The daily budget in cfai.toml: 0 of 50" in panel.usage.other_limits.value
    session.close()


def test_another_server_is_shown_instead_of_an_account(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.session.settings.base_url = "http://127.0.0.1:9090/v1"
    assert "Requests go to 127.0.0.1:9090" in panel.account.summary.value
    assert "use no neurons" in panel.usage.gauge.value
    assert "127.0.0.1:9090" in str(panel)
