"""Model section of the panel."""

import math
from collections.abc import Callable

import pytest

from cfai_magics.commands import run
from cfai_magics.frontends.shell import create_shell_frontend
from cfai_magics.pricing.catalog import save_cached
from cfai_magics.pricing.prices import catalog_rates
from cfai_magics.pricing.typical import MAX_DEFAULT_ANSWER_TOKENS
from cfai_magics.secret import Secret
from cfai_magics.session.session import Session
from cfai_magics.types.messages import Message
from cfai_magics.types.usage import Model, Usage
from cfai_magics.widgets.panel import Panel
from tests.standin import Standin
from tests.standin.state import EVERYTHING
from tests.widgets.conftest import enter

HI: list[Message] = [{"role": "user", "content": "Hi"}]


def listed_models(panel: Panel) -> list[str]:
    return [name for _, name in panel.models.model_list.options]


def line_of(panel: Panel, name: str) -> str:
    return next(
        line.replace("\N{NO-BREAK SPACE}", " ").replace("\N{ZERO WIDTH SPACE}", "")
        for line, full in panel.models.model_list.options
        if full.endswith(name)
    )


def test_the_list_begins_with_chat_models(panel: Panel) -> None:
    assert "@cf/google/gemma-4-26b-a4b-it" in listed_models(panel)
    assert panel.models.model_list.value == panel.session.settings.model
    assert not [name for name in listed_models(panel) if "flux" in name]


def test_search_task_and_checkboxes_filter_the_list(panel: Panel) -> None:
    models = panel.models
    enter(models.search_input, value="Meta 3.2")
    assert listed_models(panel) == [
        f"@cf/meta/llama-3.2-{size}-instruct" for size in ("1b", "3b", "11b-vision")
    ]
    enter(models.filters["vision"], value=True)
    assert listed_models(panel) == ["@cf/meta/llama-3.2-11b-vision-instruct"]
    enter(models.search_input, value="")
    enter(models.filters["free"], value=True)
    enter(models.filters["reasoning"], value=True)
    enter(models.filters["tools"], value=True)
    known = {model.name: model for model in panel.session.catalog().models}
    assert 0 < len(listed_models(panel)) < 10
    for name in listed_models(panel):
        model = known[name]
        assert model.vision
        assert model.tools
        assert model.reasoning
        assert not model.paid_plan_only
    for checkbox in models.filters.values():
        enter(checkbox, value=False)
    enter(models.task_filter, index=models.task_filter.options.index(("Text-to-Image",) * 2))
    assert "@cf/black-forest-labs/flux-1-schnell" in listed_models(panel)
    assert models.model_list.value is None


@pytest.mark.parametrize(
    ("sort_by", "value"),
    [
        ("price", lambda model: (model.neurons_in or 0) + (model.neurons_out or 0) or math.inf),
        ("window", lambda model: -(model.context_window or 0)),
    ],
)
def test_the_list_is_sorted_by_price_or_context_window(
    panel: Panel, sort_by: str, value: Callable[[Model], float]
) -> None:
    menu = panel.models.sort_menu
    enter(menu, index=[key for _, key in menu.options].index(sort_by))
    known = {model.name: model for model in panel.session.catalog().models}
    values = [value(known[name]) for name in listed_models(panel)]
    assert values == sorted(values)
    assert panel.models.model_list.value == panel.session.settings.model


def test_recently_used_models_come_first(panel: Panel, account: Standin) -> None:
    used = ["@cf/meta/llama-3.2-3b-instruct", "@cf/openai/gpt-oss-20b"]
    for name in used:
        panel.session.ask(panel.session.build_request(HI, model=name))
    assert listed_models(panel)[:2] == used[::-1]
    assert "recently used" in line_of(panel, used[0])
    assert "recently used" not in line_of(panel, "llama-3.2-1b-instruct")
    enter(panel.models.search_input, value="llama-3.2")
    assert listed_models(panel)[0] == used[0]


def test_an_empty_list_offers_to_clear_the_filter(panel: Panel) -> None:
    models = panel.models
    assert models.clear_button.layout.display == "none"
    enter(models.search_input, value="flux")
    enter(models.filters["vision"], value=True)
    assert "No model matches the filter." in models.empty_note.value
    assert models.model_list.layout.display == "none"
    models.clear_button.click()
    assert (models.search_input.value, models.filters["vision"].value) == ("", False)
    assert len(listed_models(panel)) == len(panel.session.catalog().models)
    assert models.model_list.layout.display is None
    assert models.clear_button.layout.display == "none"
    assert "No model" not in models.empty_note.value


def test_selecting_a_model_sets_the_default_of_this_kernel(panel: Panel, account: Standin) -> None:
    selected = "@cf/meta/llama-3.2-3b-instruct"
    enter(panel.models.model_list, index=listed_models(panel).index(selected))
    assert panel.session.settings.model == selected
    assert f"Requests go to <b>{selected}</b>" in panel.models.detail.value
    assert panel.session.ask(panel.session.build_request(HI)).model == selected


def test_the_list_selects_the_model_of_use_and_settings(panel: Panel) -> None:
    run(
        "use",
        ["llama-3.2-1b-instruct"],
        create_shell_frontend(panel.session)._replace(print=print),
        "cfai",
    )
    assert panel.models.model_list.value == "@cf/meta/llama-3.2-1b-instruct"
    panel.session.settings.model = "gpt-oss-20b"
    assert panel.models.model_list.value == "@cf/openai/gpt-oss-20b"
    panel.session.settings.model = "not-a-model"
    assert "is not in the list of" in panel.models.detail.value


def test_a_line_shows_prices_context_window_plan_and_capabilities(panel: Panel) -> None:
    line = line_of(panel, "glm-5.3-flash").split()
    assert line == [
        *("glm-5.3-flash", "13.6", "45.5", "1.3M", "paid", "–"),  # noqa: RUF001 - as shown
        *("vision", "tools", "reasoning"),
    ]
    assert "26,000" not in line


def test_after_an_answer_each_line_estimates_the_answers_left(
    panel: Panel, account: Standin
) -> None:
    account.switch(answer="word " * 1_000)
    answer = panel.session.ask(panel.session.build_request(HI))
    assert answer.neurons is not None
    left = (10_000 - answer.neurons) / answer.neurons
    count = line_of(panel, "gemma-4-26b-a4b-it").partition("about ")[2].split()[0]
    assert float(count.replace(",", "")) == pytest.approx(left, rel=0.06)
    assert f"about {count} more questions like your last one today" in panel.models.detail.value
    panel.session.accounting.ledger.budgets.set("day", 0)
    panel.refresh()
    assert "none" in line_of(panel, "gemma-4-26b-a4b-it")


def test_the_answers_left_have_the_typical_length_of_each_model(
    panel: Panel, account: Standin
) -> None:
    session = panel.session
    account.switch(answer="word " * 400)
    long = session.ask(session.build_request(HI, "llama-3.2-3b-instruct"))
    account.switch(answer="word " * 20)
    last = session.ask(session.build_request(HI))
    panel.refresh()
    left = session.day_usage().limit - session.day_usage().spent
    for name, tokens in {
        "llama-3.2-3b-instruct": long.usage.completion_tokens,
        "gemma-4-26b-a4b-it": last.usage.completion_tokens,
        "llama-3.2-1b-instruct": MAX_DEFAULT_ANSWER_TOKENS,
    }.items():
        rates = catalog_rates(session.resolve_model(name))
        assert rates is not None
        expected = left / rates.price_usage(Usage(last.usage.prompt_tokens, tokens))
        count = line_of(panel, name).partition("about ")[2].split()[0].replace(",", "")
        assert float(count) == pytest.approx(expected, rel=0.06), name
    assert long.usage.completion_tokens > 100 > last.usage.completion_tokens


def test_with_another_server_no_answers_of_workers_ai_are_left(
    panel: Panel, account: Standin
) -> None:
    server = f"{account.base_url}/accounts/{account.account_id}/ai/v1"
    account.issue_token(EVERYTHING, text="sk-other")
    panel.session.settings.base_url = server
    panel.session.backend.credential_store.save_server_key(server, Secret("sk-other"))
    panel.session.ask(panel.session.build_request(HI))
    panel.refresh()
    assert "about" not in line_of(panel, "gemma-4-26b-a4b-it")


def test_the_list_is_updated_only_on_demand(panel: Panel, account: Standin) -> None:
    assert account.requests == ()
    assert "Built-in list from" in panel.models.message.value
    panel.models.update_button.click()
    assert " List from" in panel.models.message.value
    assert any("models/search" in request.path for request in account.requests)


def test_a_failed_update_shows_the_reason(empty_panel: Panel) -> None:
    empty_panel.models.update_button.click()
    assert "No Cloudflare account is set" in empty_panel.models.message.value


def test_model_names_are_escaped_and_retirement_is_shown(
    session: Session, sent: list[str]
) -> None:
    hostile = Model(
        "@cf/x/<img src=x onerror=alert(1)>", "Text Generation", deprecation_date="2027-03-01"
    )
    save_cached(session.home, [hostile], "2026-11-25")
    panel = Panel(session)
    session.settings.model = hostile.name
    assert "<img" not in panel.models.detail.value
    assert "&lt;img" in panel.models.detail.value
    assert "retires on 2027-03-01" in panel.models.detail.value
    assert "retires 2027-03-01" in line_of(panel, hostile.name)
    panel.close()
