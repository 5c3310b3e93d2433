"""The cached model list in the state folder of a test."""

from pathlib import Path

from cfai_magics.pricing.catalog import BUNDLED_DATE, load_bundled, load_cached, save_cached


def cache_catalog_without(home: Path, name: str) -> None:
    """Cache the bundled list without one model, before a session reads it."""
    models = [model for model in load_bundled().models if model.name != name]
    assert len(models) == len(load_bundled().models) - 1
    save_cached(home, models, BUNDLED_DATE)
    assert load_cached(home) is not None
