"""What was sent with a question, part by part: a folded box in a notebook, a table elsewhere."""

from dataclasses import dataclass
from html import escape

from ..escaping import html_text
from ..prompt.costing import Sent, Share
from ..terminal import safe_text
from .formats import Bundle, Table, folded, neurons

COLUMNS = ("part", "what", "tokens", "neurons", "share of cost")
FIRST_WORDS = 48  # characters of a part in the table


@dataclass(frozen=True, slots=True)
class SentBox:
    """What was sent last; `whole` writes the texts of the parts below the table too."""

    sent: Sent
    whole: bool = True

    @property
    def table(self) -> Table:
        """The parts with their tokens and costs."""
        rows = tuple(_row(share, self.sent) for share in self.sent.shares)
        return Table(COLUMNS, rows, self._note())

    def _note(self) -> str:
        told = "from the bill" if self.sent.answer.basis == "billed" else "without a bill"
        return f"Tokens and neurons of the parts are estimated {told}, by the length of the texts."

    @property
    def summary(self) -> str:
        """The line that opens the box."""
        count = sum(share.part is not None for share in self.sent.shares)
        parts = "1 part" if count == 1 else f"{count} parts"
        tokens = self.sent.answer.usage.prompt_tokens
        return f"What was sent: {parts}, {tokens:,} tokens"

    def __str__(self) -> str:
        texts = [f"--- {_title(each)}\n{_text(each)}" for each in self.sent.shares if each.part]
        return safe_text("\n\n".join([str(self.table), *(texts if self.whole else [])]))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        parts = "".join(map(_opened, self.sent.shares))
        table = self.table._repr_html_()
        return f"<details><summary>{html_text(self.summary)}</summary>{table}{parts}</details>"


def folded_box(sent: Sent) -> Bundle:
    """Return what was sent as an output: folded, and as text the table alone."""
    box = SentBox(sent, whole=False)
    return {"text/html": box._repr_html_(), "text/plain": str(box)}


def _row(share: Share, sent: Sent) -> tuple[str, ...]:
    kind = share.part.kind if share.part else "answer"
    cost = "" if share.neurons is None else neurons(share.neurons)
    part = sent.part_of_cost(share)
    percent = "" if part is None else f"{part:.0%}".replace("%", " %")
    return kind, _what(share), f"{share.tokens:,}", cost, percent


def _what(share: Share) -> str:
    if share.part is None:
        return ""
    if share.part.image:
        return f"{share.part.name} {share.part.image.size}".strip()
    words = " ".join(share.part.text.split())
    words = words if len(words) <= FIRST_WORDS else f"{words[: FIRST_WORDS - 1]}…"
    return f"{share.part.name}: {words}" if share.part.name else words


def _title(share: Share) -> str:
    return f"{share.part.kind} {share.part.name}".strip() if share.part else "answer"


def _text(share: Share) -> str:
    if share.part is None:
        return ""
    return share.part.image.size if share.part.image else share.part.text


def _opened(share: Share) -> str:
    """Return one part as a box of its own; images are the user's, as they were sent."""
    if share.part is None:
        return ""
    if share.part.image is None:
        return folded(_title(share), share.part.text)
    picture = f'<img src="{escape(share.part.image.url)}" alt="{escape(share.part.name)}">'
    return f"<details><summary>{html_text(_title(share))}</summary>{picture}</details>"
