"""Report where the answers of maps are stored, or delete them."""

from argparse import Namespace

from ..chat.frontend import Frontend
from ..chat.options import Option
from ..storage.map_cache import MapCache

OPTIONS = (Option("what", nargs="?", default="show", choices=("show", "clear"), help="or clear"),)


def run(frontend: Frontend, options: Namespace) -> str:
    """Report where the answers of maps are stored and how many, or delete them."""
    with MapCache(frontend.session.home) as cache:
        answer_count, batch_count = cache.count()
        if options.what == "clear":
            cache.clear()
            batch_note = (
                f" {batch_count:,} batches in the queue will not be fetched."
                if batch_count
                else ""
            )
            return f"{answer_count:,} answers of maps were deleted.{batch_note}"
        queue_note = f" {batch_count:,} batches are in the queue." if batch_count else ""
        return (
            f"{answer_count:,} answers of maps are kept in {cache.path}.{queue_note} Prompts "
            "stand there as hashes, answers as text; %cfai map clear deletes them."
        )
