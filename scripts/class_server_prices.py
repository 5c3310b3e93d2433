"""Write the price list of the class server from the bundled catalog.

Run `python -m scripts.class_server_prices` after a change of `cfai_magics/data`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from cfai_magics.pricing.catalog import load_bundled
from cfai_magics.pricing.limits import (
    PAID_MODEL_REQUESTS_PER_MINUTE,
    REQUESTS_PER_MINUTE_BY_TASK,
)
from cfai_magics.types.usage import Model

ROOT = Path(__file__).parents[1]
PATH = ROOT / "class-server" / "src" / "prices.json"


def _to_entry(model: Model) -> dict[str, Any]:
    """Return the JSON of a model. Prices are in neurons per million tokens."""
    task_limit = REQUESTS_PER_MINUTE_BY_TASK.get(model.task)
    return {
        "task": model.task,
        "input": _per_million(model.neurons_in),
        "output": _per_million(model.neurons_out),
        "perMinute": PAID_MODEL_REQUESTS_PER_MINUTE if model.paid_plan_only else task_limit,
        "perMinuteOf": model.name if model.paid_plan_only else model.task,
    }


def _per_million(neurons: float | None) -> float | None:
    return None if neurons is None else round(neurons * 1000, 6)


def format_price_list() -> str:
    """Return the content of the file: one line per model, sorted by name."""
    catalog = load_bundled()
    models = sorted(catalog.models, key=lambda model: model.name)
    lines = [f"    {json.dumps(model.name)}: {json.dumps(_to_entry(model))}" for model in models]
    listed = ",\n".join(lines)
    return f'{{\n  "date": {json.dumps(catalog.date)},\n  "models": {{\n{listed}\n  }}\n}}\n'


def main() -> None:
    """Write the file, and print its path."""
    PATH.write_text(format_price_list(), encoding="utf-8")
    sys.stdout.write(f"{PATH.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
