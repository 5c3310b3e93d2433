"""Rows as a pandas DataFrame, where pandas is installed."""

from collections.abc import Sequence
from typing import Any

from ..errors import SetupError


def data_frame(rows: Sequence[Any], columns: Sequence[str] | None = None) -> Any:
    """Return a DataFrame of dicts, or of tuples with their columns; SetupError without pandas."""
    try:
        import pandas as pd
    except ImportError:
        raise SetupError("pandas is not installed", "pip install pandas, then again.") from None
    return pd.DataFrame(list(rows), columns=columns)
