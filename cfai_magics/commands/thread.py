"""List, show, select, fork, reset and export conversations."""

import json
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path

from ..chat.frontend import Frontend, NotebookState
from ..chat.options import Option
from ..chat.turns import save_turn
from ..display.tables import SafeMarkdown, Table, format_neurons
from ..errors import InvalidOptionError
from ..i18n import _, mark, ngettext
from ..markdown.blocks import strip_remote_content
from ..markdown.escaping import escape_markdown
from ..paths import parse_user_path, write_user_file
from ..prompt.history import Turn, stale_turns
from ..state_files import describe_error
from ..storage.conversations import ConversationStore

OPTIONS = (
    Option(
        "what",
        nargs="?",
        default="list",
        choices=("list", "show", "use", "fork", "reset", "export", "keep"),
        help=mark("what to do (default: list); all but list apply to the current conversation"),
    ),
    Option(
        "name",
        nargs="?",
        default="",
        help=mark("another conversation; with fork, the name of the copy"),
    ),
    Option("--at", type=int, metavar="N", help=mark("with fork: copy up to turn N")),
    Option("--to", default="", metavar="FILE", help=mark("with export: a .md or .json file")),
)


LIST_HINT = mark("%cfai thread lists the conversations.")
DEFAULT_NEURON_LABEL = mark("{neurons} neurons")
NEURON_LABELS = {
    "billed": mark("{neurons} neurons billed"),
    "estimated": mark("{neurons} neurons estimated"),
    "replayed": mark("{neurons} neurons replayed"),
}
ThreadAction = Callable[[Frontend, ConversationStore, Namespace], object]


def run(frontend: Frontend, options: Namespace) -> object:
    """Run the action named by the first word, such as `list` or `fork`."""
    with ConversationStore(frontend.session.home) as store:
        return ACTIONS[options.what](frontend, store, options)


def _select_thread(frontend: Frontend, options: Namespace) -> str:
    """Return the given conversation name, or the current conversation's name if none is given."""
    if options.name:
        return str(options.name)
    return _require_notebook_state(
        frontend, _("A shell has no current conversation, so a name is required")
    ).thread


def _require_notebook_state(frontend: Frontend, cause: str) -> NotebookState:
    if frontend.notebook_state is None:
        raise InvalidOptionError(cause, _(LIST_HINT))
    return frontend.notebook_state


def _load_turns(store: ConversationStore, name: str) -> tuple[Turn, ...]:
    turns = store.load_turns(name)
    if not turns:
        raise InvalidOptionError(
            _("There is no conversation {name!r}").format(name=name), _(LIST_HINT)
        )
    return turns


def _list_threads(frontend: Frontend, store: ConversationStore, _options: Namespace) -> Table:
    current_thread = frontend.notebook_state.thread if frontend.notebook_state else ""
    rows = tuple(
        (
            thread_summary.name,
            f"{thread_summary.turns:,}",
            thread_summary.asked_at.replace("T", " ").replace("+00:00", " UTC"),
            format_neurons(thread_summary.neurons),
            _("current") if thread_summary.name == current_thread else "",
        )
        for thread_summary in store.list_threads()
    )
    notes = [] if rows else [_("No conversations yet.")]
    if current_thread:
        notes.append(_("-c continues {name}.").format(name=current_thread))
    elif not rows:
        notes.append(_("Use -c=NAME to start one."))
    columns = (_("conversation"), _("turns"), _("last prompt"), _("neurons"), "")
    return Table(columns, rows, " ".join(notes), number_columns=(1, 3))


def _show_thread(frontend: Frontend, store: ConversationStore, options: Namespace) -> SafeMarkdown:
    return SafeMarkdown(_as_markdown(_load_turns(store, _select_thread(frontend, options))))


def _as_markdown(turns: tuple[Turn, ...]) -> str:
    """Return the turns as Markdown, with each prompt as a block quote and answers unchanged."""
    stale_positions = {turn.position for turn in stale_turns(turns)}
    return (
        "\n\n".join(
            _format_turn(turn, is_stale=turn.position in stale_positions) for turn in turns
        )
        + "\n"
    )


def _export_markdown(turns: tuple[Turn, ...]) -> str:
    """Return the turns as Markdown, without content that a Markdown viewer would download."""
    return strip_remote_content(_as_markdown(turns))


def _format_turn(turn: Turn, *, is_stale: bool) -> str:
    model = turn.model.rpartition("/")[2]
    quoted_question = "\n".join(f"> {line}" for line in turn.question.splitlines())
    tokens = _("{prompt_tokens:,}→{completion_tokens:,} tokens").format(
        prompt_tokens=turn.prompt_tokens, completion_tokens=turn.completion_tokens
    )
    facts = [f"**{turn.position}**", escape_markdown(model), tokens]
    if turn.neurons is not None:
        label = _(NEURON_LABELS.get(turn.basis or "", DEFAULT_NEURON_LABEL))
        facts.append(label.format(neurons=format_neurons(turn.neurons)))
    if is_stale:
        stale_note = _("based on an outdated answer")
        facts.append(f"**{stale_note}**")
    heading = " · ".join(facts)
    return f"{heading}\n\n{quoted_question}\n\n{turn.answer}"


def _use_thread(frontend: Frontend, store: ConversationStore, options: Namespace) -> str:
    notebook_state = _require_notebook_state(
        frontend, _("A shell has no current conversation, so name one with -c=NAME")
    )
    if options.name:
        notebook_state.thread = options.name
    count = len(store.load_turns(notebook_state.thread))
    return ngettext(
        "-c continues {name}, which has {count:,} turn.",
        "-c continues {name}, which has {count:,} turns.",
        count,
    ).format(name=notebook_state.thread, count=count)


def _fork_thread(frontend: Frontend, store: ConversationStore, options: Namespace) -> str:
    notebook_state = _require_notebook_state(
        frontend, _("Only a notebook or IPython can fork a conversation")
    )
    if not options.name:
        raise InvalidOptionError(_("The copy needs a name"), _("Use %cfai thread fork NAME."))
    if store.load_turns(options.name):
        raise InvalidOptionError(
            _("The conversation {name!r} already exists").format(name=options.name),
            _("Choose another name."),
        )
    turns = _load_turns(store, notebook_state.thread)
    last_position = len(turns) if options.at is None else options.at
    if not 1 <= last_position <= len(turns):
        raise InvalidOptionError(
            _("There is no turn {number} for --at").format(number=last_position),
            ngettext(
                "The conversation has {count:,} turn.",
                "The conversation has {count:,} turns.",
                len(turns),
            ).format(count=len(turns)),
        )
    count = store.copy(notebook_state.thread, options.name, last_position)
    notebook_state.thread = options.name
    return ngettext(
        "-c continues {name}, which starts with {count:,} turn.",
        "-c continues {name}, which starts with {count:,} turns.",
        count,
    ).format(name=options.name, count=count)


def _reset_thread(frontend: Frontend, store: ConversationStore, options: Namespace) -> str:
    name = _select_thread(frontend, options)
    count = store.delete(name)
    return ngettext(
        "Deleted {count:,} turn of {name}.", "Deleted {count:,} turns of {name}.", count
    ).format(count=count, name=name)


def _export_thread(frontend: Frontend, store: ConversationStore, options: Namespace) -> str:
    name = _select_thread(frontend, options)
    turns = _load_turns(store, name)
    path = parse_user_path(options.to or f"{_to_file_name(name)}.md")
    writers: Mapping[str, Callable[[tuple[Turn, ...]], str]] = {
        ".md": _export_markdown,
        ".json": _export_json,
    }
    if path.suffix not in writers:
        raise InvalidOptionError(
            _("{path} does not end in .md or .json").format(path=path),
            _("Example: --to talk.md"),
        )
    try:
        text = writers[path.suffix](turns)
        write_user_file(path, [text.encode(errors="replace")], overwrite=False)
    except FileExistsError:
        raise InvalidOptionError(
            _("{path} already exists").format(path=path),
            _("Choose another file with --to FILE."),
        ) from None
    except OSError as error:
        raise InvalidOptionError(
            _("{path} can't be written: {error}").format(path=path, error=describe_error(error)),
            _("Choose another file with --to FILE."),
        ) from None
    return ngettext(
        "Wrote {count:,} turn of {name} to {path}.",
        "Wrote {count:,} turns of {name} to {path}.",
        len(turns),
    ).format(count=len(turns), name=name, path=path)


def _to_file_name(name: str) -> str:
    """Return a file name without a suffix for a conversation.

    The name for a notebook's own conversation is based on the notebook's file name.
    """
    stem = Path(name).stem if name.endswith(".ipynb") else name
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in stem) or "thread"


def _export_json(turns: tuple[Turn, ...]) -> str:
    """Return the turns as a JSON object with a list of messages in OpenAI format."""
    messages = [message for turn in turns for message in turn.messages]
    return json.dumps({"messages": messages}, indent=2, ensure_ascii=False) + "\n"


def _keep_turn(frontend: Frontend, _store: ConversationStore, _options: Namespace) -> str:
    notebook_state = _require_notebook_state(
        frontend, _("Only a notebook or IPython can keep an unfinished turn")
    )
    unsaved_turn = notebook_state.unsaved_turn
    if unsaved_turn is None:
        raise InvalidOptionError(
            _("There is no unfinished turn to keep"),
            _("A turn is unfinished if its answer was interrupted or cut off."),
        )
    notebook_state.unsaved_turn = None
    details, notes = save_turn(unsaved_turn.turn, unsaved_turn.turn_key)
    return " ".join((*details, *notes))


ACTIONS: Mapping[str, ThreadAction] = {
    "list": _list_threads,
    "show": _show_thread,
    "use": _use_thread,
    "fork": _fork_thread,
    "reset": _reset_thread,
    "export": _export_thread,
    "keep": _keep_turn,
}
