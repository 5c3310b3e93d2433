"""Show what was sent with the last question."""

from argparse import Namespace

from ..chat.frontend import Frontend
from ..display.preview import PromptInspector
from ..errors import InvalidOptionError

OPTIONS = ()


def run(frontend: Frontend, _options: Namespace) -> PromptInspector:
    """Return the parts of the last question's prompt, each with its tokens and share of cost."""
    report = frontend.notebook_state.last_prompt if frontend.notebook_state else None
    if report is None:
        hint = "Ask first." if frontend.notebook_state else "In a shell, ask with --sent."
        raise InvalidOptionError("Nothing was sent from here yet", hint)
    return PromptInspector(report)
