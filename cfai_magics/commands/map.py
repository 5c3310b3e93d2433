"""The command about the answers that maps keep: where they are, and how to be rid of them."""

from argparse import Namespace

from ..asking.door import Door
from ..store.answers import Answers


def map_(door: Door, options: Namespace) -> str:
    """Tell where the answers of maps are kept and how many, or delete them."""
    with Answers(door.session.home) as store:
        answers, batches = store.count()
        if options.what == "clear":
            store.clear()
            lost = f" {batches:,} batches in the queue will not be fetched." if batches else ""
            return f"{answers:,} answers of maps were deleted.{lost}"
        queued = f" {batches:,} batches are in the queue." if batches else ""
        return (
            f"{answers:,} answers of maps are kept in {store.path}.{queued} Prompts stand there "
            "as hashes, answers as text; %cfai map clear deletes them."
        )
