"""Build the messages of a prompt, and split the prompt's cost among its parts."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..errors import InvalidOptionError
from ..i18n import _, ngettext
from ..pricing.prices import Rates, catalog_rates
from ..pricing.tokens import estimate_template_tokens, estimate_tokens
from ..types.messages import Answer, Message, Request
from ..types.usage import Model, Usage
from .serialize import SizeLimits

if TYPE_CHECKING:
    from ..media.images import Image
    from .history import Turn
    from .serialize import SerializedValue
    from .template import Field


PartKind = Literal[
    "system",
    "form",
    "history",
    "context",
    "cell",
    "traceback",
    "variable",
    "image",
    "template",
    "functions",
    "call",
]
Evaluate = Callable[[str], Any]


class Part(NamedTuple):
    """A part of a prompt, which contains either text or an image.

    `name`, such as an expression, is shown to the user but not sent to the model.
    """

    kind: PartKind
    text: str = ""
    name: str = ""
    image: "Image | None" = None

    @property
    def content(self) -> dict[str, Any]:
        """The part as a `text` or `image_url` content part of an OpenAI message."""
        if self.image is None:
            return {"type": "text", "text": self.text}
        return {"type": "image_url", "image_url": {"url": self.image.data_url}}


class UserMessage(NamedTuple):
    """The parts of the user message from one cell, in order, with notes for the user."""

    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()


def build_user_message(
    text: str, evaluate: Evaluate | None, get_limits: Callable[[], SizeLimits]
) -> UserMessage:
    """Build the user message from a cell, replacing each `{{expression}}` with its value.

    Args:
        text: The text of the cell. Whitespace at its end is not part of the message.
        evaluate: Function that evaluates an expression in the notebook. If None, the text is left
            as typed.
        get_limits: Function that returns the size limits for each value. It is called only if the
            text contains "{{".

    Raises:
        VariableError: An expression can't be evaluated.
        InvalidOptionError: The values of all expressions are empty, and there is no other text.
    """
    text = text.rstrip()
    if evaluate is None or "{{" not in text:
        return UserMessage((Part("cell", text),))
    from .template import Field, evaluate_field, parse_template

    template, limits = parse_template(text), get_limits()
    notes: list[str] = []
    parts: list[Part] = []
    for piece in template.pieces:
        if isinstance(piece, Field):
            value = evaluate_field(
                piece, evaluate, lambda result: _serialize_value(result, limits)
            )
            parts.append(_build_part(piece, value))
            notes += _truncation_notes(piece, value)
        else:
            parts.append(Part("cell", piece))
    if not any(part.image or part.text.strip() for part in parts):
        raise InvalidOptionError(
            _("The prompt is empty"), _("The values of its expressions contain no text.")
        )
    return UserMessage(tuple(parts), (*notes, *_unparsed_notes(template.unparsed)))


def _serialize_value(value: Any, limits: SizeLimits) -> "SerializedValue | bytes":
    """Return a value as text or, if it is a figure or image, as bytes."""
    from ..media.images import figure_bytes
    from .serialize import to_text

    image_bytes = figure_bytes(value)
    return to_text(value, limits) if image_bytes is None else image_bytes


def _build_part(field: "Field", value: "SerializedValue | bytes") -> Part:
    from ..media.images import prepare_image
    from .serialize import SerializedValue

    if isinstance(value, SerializedValue):
        return Part("variable", value.text, field.expression)
    return Part("image", name=field.expression, image=prepare_image(field.expression, value))


def _truncation_notes(field: "Field", value: "SerializedValue | bytes") -> list[str]:
    if isinstance(value, bytes) or not value.truncated_to:
        return []
    from .serialize import format_truncation

    setting = "table_rows" if value.truncated_to.endswith("rows") else "value_characters"
    return [
        _("{field}: only the first {amount} were sent; {command} changes the limit.").format(
            field=field.source_text,
            amount=format_truncation(value.truncated_to),
            command=f"%config Cfai.{setting} = N",
        )
    ]


def _unparsed_notes(unparsed: tuple[str, ...]) -> list[str]:
    from .template import truncate_source

    if not unparsed:
        return []
    first = truncate_source(" ".join(unparsed[0].split()))
    other_count = len(unparsed) - 1
    if not other_count:
        return [
            _("Sent as typed, because it is not a Python expression: {field}").format(field=first)
        ]
    return [
        ngettext(
            "Sent as typed, because they are not Python expressions: {field} and {count} other",
            "Sent as typed, because they are not Python expressions: {field} and {count} others",
            other_count,
        ).format(field=first, count=other_count)
    ]


def _build_turn_parts(turn: "Turn") -> list[Part]:
    """Return the text and images of an earlier turn as parts."""
    from ..media.images import from_data_url

    name = _("turn {position}").format(position=turn.position)
    urls = [] if isinstance(turn.content, str) else [_get_image_url(part) for part in turn.content]
    text = f"{turn.question}\n\n{turn.answer}"
    return [
        Part("history", text, name),
        *(Part("history", name=name, image=from_data_url(url)) for url in urls if url),
    ]


def _get_image_url(part: dict[str, Any]) -> str:
    return str(part.get("image_url", {}).get("url", ""))


class Prompt(NamedTuple):
    """All parts that are sent with one request.

    Attributes:
        user_message: The user message of the cell.
        system: The parts of the system prompt.
        history: The earlier turns to send.
        dropped_turns: The number of earlier turns that did not fit in the context window.
        extra_parts: Parts of request fields other than `messages`, such as `tools`.
        context: The cells above, which the user message starts with. A thread does not keep them.
    """

    user_message: UserMessage
    system: tuple[Part, ...] = ()
    history: "tuple[Turn, ...]" = ()
    dropped_turns: int = 0
    extra_parts: tuple[Part, ...] = ()
    context: tuple[Part, ...] = ()

    @property
    def messages(self) -> list[Message]:
        """The prompt as OpenAI messages."""
        messages: list[Message] = []
        if self.system:
            system = "\n\n".join([part.text for part in self.system])
            messages.append({"role": "system", "content": system})
        for turn in self.history:
            messages += turn.messages
        messages.append({"role": "user", "content": self._user_content()})
        return messages

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts in the order in which they are sent."""
        history_parts = tuple(part for turn in self.history for part in _build_turn_parts(turn))
        user_parts = (*self.context, *self.user_message.parts)
        return (*self.system, *history_parts, *user_parts, *self.extra_parts)

    @property
    def images(self) -> "tuple[Image, ...]":
        """The images in the user message."""
        parts = self.context + self.user_message.parts
        if len(parts) == 1 and parts[0].image is None:
            return ()
        return tuple([part.image for part in parts if part.image])

    def _user_content(self) -> Any:
        """Return the content of the user message as text, or as parts if it contains images."""
        parts = self.context + self.user_message.parts
        if len(parts) == 1 and parts[0].image is None:
            return parts[0].text
        if not self.images:
            return "".join([part.text for part in parts])
        return [part.content for part in parts if part.image or part.text.strip()]


class PartCost(NamedTuple):
    """The cost of one part of a call, in tokens and, if the price is known, in neurons."""

    part: Part | None  # None for the answer
    tokens: int
    neurons: float | None


class PromptReport(NamedTuple):
    """A prompt that was sent, its answer, and the model that answered."""

    prompt: Prompt
    answer: Answer
    model: Model

    @property
    def part_costs(self) -> tuple[PartCost, ...]:
        """The cost of each part and of the answer.

        The costs in neurons add up to the cost of the call.
        """
        rates = _get_rates(self.answer, self.model)
        tokens = self.answer.usage.completion_tokens
        cost = rates.price_usage(Usage(completion_tokens=tokens)) if rates else None
        shares = (*split_cost(self.prompt, self.answer, self.model), PartCost(None, tokens, cost))
        total = sum(share.neurons or 0.0 for share in shares)
        if not total or self.answer.neurons is None:
            return shares
        factor = self.answer.neurons / total
        return tuple(share._replace(neurons=(share.neurons or 0.0) * factor) for share in shares)

    def fraction(self, share: PartCost) -> float | None:
        """Return a part's fraction of the total cost (0 to 1), or None if the price is unknown."""
        total = sum(part_cost.neurons or 0.0 for part_cost in self.part_costs)
        return share.neurons / total if share.neurons is not None and total else None


def split_cost(prompt: Prompt, answer: Answer, model: Model) -> tuple[PartCost, ...]:
    """Return the cost of each part of the prompt, in order.

    If there are images, each text part is assigned its estimated tokens, and the images share the
    remaining billed tokens. Without images, or if no tokens remain, all parts share the billed
    tokens in proportion to their estimates.
    """
    parts = prompt.parts
    estimates = [_estimate_part_tokens(part) for part in parts]
    text_tokens = sum(size for part, size in zip(parts, estimates, strict=True) if not part.image)
    image_tokens = sum(estimates) - text_tokens
    billed_tokens = answer.usage.prompt_tokens
    if image_tokens and billed_tokens > text_tokens:
        text_factor, image_factor = 1.0, (billed_tokens - text_tokens) / image_tokens
    else:
        text_factor = image_factor = billed_tokens / (sum(estimates) or 1)
    rates = _get_rates(answer, model)

    def build_share(part: Part, estimate: int) -> PartCost:
        tokens = round(estimate * (image_factor if part.image else text_factor))
        return PartCost(part, tokens, rates.price_usage(Usage(tokens)) if rates else None)

    return tuple(map(build_share, parts, estimates))


def _get_rates(answer: Answer, model: Model) -> Rates | None:
    return None if answer.is_local else catalog_rates(model)


def estimate_part_costs(prompt: Prompt, request: Request) -> tuple[PartCost, ...]:
    """Return the estimated tokens of each part of a prompt and of the model's chat template."""
    template = PartCost(Part("template"), estimate_template_tokens(request), None)
    parts = (PartCost(part, _estimate_part_tokens(part), None) for part in prompt.parts)
    return *parts, template


def _estimate_part_tokens(part: Part) -> int:
    return part.image.estimated_tokens if part.image else estimate_tokens(part.text)
