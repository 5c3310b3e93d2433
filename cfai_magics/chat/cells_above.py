"""Add the cells above a question to its prompt (`--context`)."""

from collections.abc import Iterable

from ..errors import InvalidOptionError
from ..i18n import _
from ..prompt.builder import Prompt
from ..prompt.cell_context import ContextLimits, build_context
from ..redaction import redact_secrets
from ..types.usage import Model
from .frontend import NotebookState
from .turns import window_tokens


def with_cells_above(
    prompt: Prompt,
    notebook_state: NotebookState | None,
    context_tokens: int,
    models: Iterable[Model],
    answer_tokens: int,
) -> Prompt:
    """Return the prompt with the newest cells above it that fit in the limits.

    Args:
        prompt: The prompt with its images, but without earlier turns.
        notebook_state: The state of the kernel, or None in a shell.
        context_tokens: The maximum number of tokens of the cells.
        models: The models that receive the prompt.
        answer_tokens: The maximum length of the answer in tokens.

    Raises:
        InvalidOptionError: There is no notebook, no cell has run, or the newest one does not fit.
    """
    if notebook_state is None:
        raise InvalidOptionError(
            _("--context works only in a notebook or in IPython"), _("Leave out --context.")
        )
    models = tuple(models)
    windows = [model.context_window for model in models if model.context_window is not None]
    used_tokens = window_tokens(prompt.messages) + answer_tokens
    limits = ContextLimits(
        context_tokens,
        min(windows, default=float("inf")) - used_tokens,
        all(model.vision for model in models),
    )
    context = build_context(notebook_state.get_cells_above(), limits, redact_secrets)
    user_message = prompt.user_message
    return prompt._replace(
        user_message=user_message._replace(notes=(*user_message.notes, *context.notes)),
        context=context.parts,
    )
