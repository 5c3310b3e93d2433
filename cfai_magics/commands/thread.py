"""Conversations: list, show, use, fork, reset and export them."""

import json
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path

from ..chat.frontend import Frontend, NotebookState
from ..chat.options import Option
from ..chat.turns import save_turn
from ..display.tables import SafeMarkdown, Table, format_neurons
from ..errors import InvalidOptionError
from ..markdown.blocks import strip_remote_content
from ..markdown.escaping import escape_markdown
from ..paths import parse_user_path
from ..prompt.history import Turn, stale_turns
from ..storage.conversations import ConversationStore

OPTIONS = (
    Option(
        "what",
        nargs="?",
        default="list",
        choices=("list", "show", "use", "fork", "reset", "export", "keep"),
        help="list if nothing is said; all others go for the thread in use",
    ),
    Option("name", nargs="?", default="", help="another thread; with fork, the new one"),
    Option("--at", type=int, metavar="N", help="with fork: up to turn N"),
    Option("--to", default="", metavar="FILE", help="with export: a .md or .json file"),
)


LIST_HINT = "%cfai thread lists them."
ThreadAction = Callable[[Frontend, ConversationStore, Namespace], object]


def run(frontend: Frontend, options: Namespace) -> object:
    """Do what the first word says with a thread."""
    with ConversationStore(frontend.session.home) as store:
        return ACTIONS[options.what](frontend, store, options)


def _select_thread(frontend: Frontend, options: Namespace) -> str:
    """Return the name of the thread: the given one, else the one in use."""
    if options.name:
        return str(options.name)
    return _require_notebook_state(frontend, "Name the thread").thread


def _require_notebook_state(frontend: Frontend, cause: str) -> NotebookState:
    if frontend.notebook_state is None:
        raise InvalidOptionError(f"{cause}: a shell has none in use", LIST_HINT)
    return frontend.notebook_state


def _load_turns(store: ConversationStore, name: str) -> tuple[Turn, ...]:
    turns = store.load_turns(name)
    if not turns:
        raise InvalidOptionError(f"There is no thread {name!r}", LIST_HINT)
    return turns


def _list_threads(frontend: Frontend, store: ConversationStore, _options: Namespace) -> Table:
    current_thread = frontend.notebook_state.thread if frontend.notebook_state else ""
    rows = tuple(
        (
            thread_summary.name,
            f"{thread_summary.turns:,}",
            thread_summary.asked_at.replace("T", " ").replace("+00:00", " UTC"),
            format_neurons(thread_summary.neurons),
            "in use" if thread_summary.name == current_thread else "",
        )
        for thread_summary in store.list_threads()
    )
    note = f"-c continues {current_thread}." if current_thread else ""
    return Table(("thread", "turns", "last asked", "neurons", ""), rows, note)


def _show_thread(frontend: Frontend, store: ConversationStore, options: Namespace) -> SafeMarkdown:
    return SafeMarkdown(_as_markdown(_load_turns(store, _select_thread(frontend, options))))


def _as_markdown(turns: tuple[Turn, ...]) -> str:
    """Return the turns as Markdown: the questions quoted, the answers as they are."""
    stale_positions = {turn.position for turn in stale_turns(turns)}
    return (
        "\n\n".join(
            _format_turn(turn, is_stale=turn.position in stale_positions) for turn in turns
        )
        + "\n"
    )


def _export_markdown(turns: tuple[Turn, ...]) -> str:
    """Return the turns as Markdown for a file, which loads nothing wherever it is opened."""
    return strip_remote_content(_as_markdown(turns))


def _format_turn(turn: Turn, *, is_stale: bool) -> str:
    model = turn.model.rpartition("/")[2]
    cost = (
        "" if turn.neurons is None else f" · {format_neurons(turn.neurons)} neurons {turn.basis}"
    )
    stale_note = " · **stands on an old answer**" if is_stale else ""
    quoted_question = "\n".join(f"> {line}" for line in turn.question.splitlines())
    tokens = f"{turn.prompt_tokens:,}→{turn.completion_tokens:,} tokens"
    heading = f"**{turn.position}** · {escape_markdown(model)} · {tokens}{cost}{stale_note}"
    return f"{heading}\n\n{quoted_question}\n\n{turn.answer}"


def _use_thread(frontend: Frontend, store: ConversationStore, options: Namespace) -> str:
    notebook_state = _require_notebook_state(frontend, "Name the thread with -c=NAME")
    if options.name:
        notebook_state.thread = options.name
    count = len(store.load_turns(notebook_state.thread))
    return f"-c continues {notebook_state.thread}, which has {_format_turn_count(count)}."


def _fork_thread(frontend: Frontend, store: ConversationStore, options: Namespace) -> str:
    notebook_state = _require_notebook_state(frontend, "Fork in a notebook")
    if not options.name:
        raise InvalidOptionError("A fork needs a name", "Write %cfai thread fork NAME.")
    if store.load_turns(options.name):
        raise InvalidOptionError(
            f"There is a thread {options.name!r} already", "Choose another name."
        )
    turns = _load_turns(store, notebook_state.thread)
    last_position = len(turns) if options.at is None else options.at
    if not 1 <= last_position <= len(turns):
        raise InvalidOptionError(
            f"--at {last_position} is no turn", f"It has turns 1 to {len(turns)}."
        )
    count = store.copy(notebook_state.thread, options.name, last_position)
    notebook_state.thread = options.name
    return f"-c continues {options.name}, which begins with {_format_turn_count(count)}."


def _reset_thread(frontend: Frontend, store: ConversationStore, options: Namespace) -> str:
    name = _select_thread(frontend, options)
    return f"{_format_turn_count(store.delete(name))} of {name} deleted."


def _format_turn_count(count: int) -> str:
    return "1 turn" if count == 1 else f"{count:,} turns"


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
            f"{path} is neither .md nor .json", "Write for example --to talk.md."
        )
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(writers[path.suffix](turns))
    except FileExistsError:
        raise InvalidOptionError(f"{path} exists", "Choose another file with --to FILE.") from None
    except OSError as error:
        raise InvalidOptionError(
            f"{path} can't be written: {error}", "Choose another with --to."
        ) from None
    return f"{_format_turn_count(len(turns))} of {name} written to {path}."


def _to_file_name(name: str) -> str:
    """Return a thread's name as a file's: of a notebook, that of the notebook."""
    stem = Path(name).stem if name.endswith(".ipynb") else name
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in stem) or "thread"


def _export_json(turns: tuple[Turn, ...]) -> str:
    """Return the turns as OpenAI's messages, which other programs take."""
    messages = [message for turn in turns for message in turn.messages]
    return json.dumps({"messages": messages}, indent=2, ensure_ascii=False) + "\n"


def _keep_turn(frontend: Frontend, _store: ConversationStore, _options: Namespace) -> str:
    notebook_state = _require_notebook_state(frontend, "Keep a turn in a notebook")
    unsaved_turn = notebook_state.unsaved_turn
    if unsaved_turn is None:
        raise InvalidOptionError("No turn was left out", "Only one whose answer broke off is.")
    notebook_state.unsaved_turn = None
    return " ".join(save_turn(unsaved_turn.turn, unsaved_turn.turn_key))


ACTIONS: Mapping[str, ThreadAction] = {
    "list": _list_threads,
    "show": _show_thread,
    "use": _use_thread,
    "fork": _fork_thread,
    "reset": _reset_thread,
    "export": _export_thread,
    "keep": _keep_turn,
}
