"""Show where the answers from maps are cached, or delete them."""

from argparse import Namespace

from ..chat.frontend import Frontend
from ..chat.options import Option
from ..i18n import _, mark, ngettext
from ..storage.map_cache import MapCache

OPTIONS = (
    Option(
        "what",
        nargs="?",
        default="show",
        choices=("show", "clear"),
        help=mark("show, or clear to delete them"),
    ),
)


def run(frontend: Frontend, options: Namespace) -> str:
    """Count or delete the cached answers, and return a message."""
    with MapCache(frontend.session.home) as cache:
        answer_count, batch_count = cache.count()
        if options.what == "clear":
            cache.clear()
            deleted_text = ngettext(
                "Deleted {count:,} map answer.", "Deleted {count:,} map answers.", answer_count
            ).format(count=answer_count)
            batch_note = ngettext(
                "{count:,} batch in the queue will not be fetched.",
                "{count:,} batches in the queue will not be fetched.",
                batch_count,
            ).format(count=batch_count)
            return f"{deleted_text} {batch_note}" if batch_count else deleted_text
        notes = [
            ngettext(
                "{count:,} map answer is cached in {path}.",
                "{count:,} map answers are cached in {path}.",
                answer_count,
            ).format(count=answer_count, path=cache.path)
        ]
        if batch_count:
            notes.append(
                ngettext(
                    "{count:,} batch is in the queue.",
                    "{count:,} batches are in the queue.",
                    batch_count,
                ).format(count=batch_count)
            )
        storage_note = _(
            "Prompts are stored as hashes, answers as text. %cfai map clear deletes them."
        )
        return " ".join((*notes, storage_note))
