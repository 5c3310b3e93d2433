"""Choose the default model."""

from argparse import Namespace

from ..chat.frontend import Frontend
from ..chat.options import Option
from ..settings import update_settings_file

OPTIONS = (
    Option("model", help="its name, or the end of it"),
    Option("--keep", action="store_true", help="also for later kernels"),
)


def run(frontend: Frontend, options: Namespace) -> str:
    """Make a model the default, for this kernel or for good."""
    name = frontend.session.resolve_catalog_model(options.model).name
    frontend.session.settings.model = name
    is_persistent = options.keep or frontend.is_one_shot
    if is_persistent:
        update_settings_file(frontend.session.home, {"model": name})
    persistence_note = ", also in later kernels" if is_persistent else ""
    course = frontend.session.settings.course
    if persistence_note and "model" in course.settings:
        persistence_note += f", but not where {course.path} sets the course's model"
    return f"Questions now go to {name}{persistence_note}."
