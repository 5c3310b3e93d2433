"""Show the last prompt, part by part."""

from argparse import Namespace

from ..chat.frontend import Frontend
from ..display.preview import PromptInspector
from ..errors import InvalidOptionError
from ..i18n import _

OPTIONS = ()


def run(frontend: Frontend, _options: Namespace) -> PromptInspector:
    """Return a report on the last prompt, with each part's tokens and share of the cost."""
    report = frontend.notebook_state.last_prompt if frontend.notebook_state else None
    if report is None:
        hint = (
            _("Run a %%cfai cell first.")
            if frontend.notebook_state
            else _("In a shell, add --sent to cfai ask.")
        )
        raise InvalidOptionError(_("No prompt has been sent yet"), hint)
    return PromptInspector(report)
