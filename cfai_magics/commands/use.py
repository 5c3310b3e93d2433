"""Set the default model."""

from argparse import Namespace

from ..chat.frontend import Frontend
from ..chat.options import Option
from ..i18n import _, mark
from ..settings import update_settings_file

OPTIONS = (
    Option("model", help=mark("model name, or the end of it")),
    Option("--keep", action="store_true", help=mark("also use it in later kernels")),
)


def run(frontend: Frontend, options: Namespace) -> str:
    """Set the default model for this kernel and, with --keep, for later kernels."""
    name = frontend.session.find_target(options.model, use_local=False).model.name
    frontend.session.settings.model = name
    is_persistent = options.keep or frontend.is_one_shot
    if is_persistent:
        update_settings_file(frontend.session.home, {"model": name})
    course = frontend.session.settings.course
    if not is_persistent:
        message = _("Now using {model}.")
    elif "model" not in course.settings:
        message = _("Now using {model}, also in later kernels.")
    else:
        message = _(
            "Now using {model}. Later kernels also use it, unless {path} sets another model."
        )
    return message.format(model=name, path=course.path)
