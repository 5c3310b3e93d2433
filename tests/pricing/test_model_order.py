"""Test the orders of lists of models."""

from cfai_magics.pricing.model_order import SORT_KEYS, sort_by_task, sort_models
from cfai_magics.types.usage import CHAT_TASK, Model


def test_sorting_compares_numbers_and_lists_unknown_prices_last() -> None:
    models = [
        Model("@cf/b/llama-11b", neurons_in=2.0, neurons_out=1.0, context_window=10),
        Model("@cf/a/llama-3b", neurons_in=1.0, neurons_out=9.0, context_window=20),
        Model("@cf/c/Alpha"),
    ]
    names = {key: [model.short_name for model in sort_models(models, key)] for key in SORT_KEYS}
    assert names == {
        "name": ["Alpha", "llama-3b", "llama-11b"],
        "price": ["llama-11b", "llama-3b", "Alpha"],
        "window": ["llama-3b", "llama-11b", "Alpha"],
    }


def test_models_with_the_same_price_are_sorted_by_name() -> None:
    models = [Model(f"@cf/{name}", neurons_in=1.0) for name in ("a/m-10", "b/m-2-x", "c/m-2")]
    names = [model.short_name for model in sort_models(models, "price")]
    assert names == ["m-2", "m-2-x", "m-10"]


def test_chat_models_of_the_free_plan_come_first_in_the_order_by_task() -> None:
    models = [
        Model("@cf/a/speech", "Automatic Speech Recognition"),
        Model("@cf/a/paid", CHAT_TASK, paid_plan_only=True),
        Model("@cf/a/small-11b", CHAT_TASK),
        Model("@cf/a/small-3b", CHAT_TASK),
    ]
    names = [model.short_name for model in sort_by_task(models)]
    assert names == ["small-3b", "small-11b", "paid", "speech"]
