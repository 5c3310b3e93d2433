"""What ends an answer, or makes it unfit; what had arrived is kept."""

from .base import CfaiError


class SchemaMismatch(CfaiError):
    """The answer does not fit the schema, nor did a second one; it is kept."""

    default_hint = (
        "The text is kept in _cfai. Simplify the schema, raise --max-tokens, or choose a larger "
        "model with -m."
    )


class TooManySteps(CfaiError):
    """The model goes on calling functions; what had arrived is kept."""


class BudgetReached(CfaiError):
    """The answer was cut at the end of a budget; what had arrived is kept."""

    default_hint = (
        "The text so far is kept. %cfai budget shows what is left, %cfai budget N raises."
    )


class Interrupted(CfaiError):
    """The user stopped the answer; what had arrived is kept."""

    default_hint = "What had arrived is kept in _cfai."
