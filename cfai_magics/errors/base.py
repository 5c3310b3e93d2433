"""The error that all others are: one line of cause, one line of what to do next."""

from typing import Any, ClassVar

from ..terminal import safe_line, safe_text


class CfaiError(Exception):
    """An error with one line of cause and one line of what to do next.

    In a notebook it shows as that one line, and the cell still fails.
    `model` is the model asked, where the error is about one; `text` is what had arrived of the
    answer, and `answer` the same as an Answer where one was begun.
    """

    default_hint: ClassVar[str] = ""

    def __init__(
        self,
        cause: str,
        hint: str = "",
        *,
        code: int | None = None,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(cause)
        self.cause = safe_text(" ".join(cause.split()))
        self.hint = safe_text(" ".join((hint or self.default_hint).split()))
        self.code = code
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after
        self.model = ""
        self.text = ""
        self.answer: Any = None

    @property
    def reference(self) -> str:
        """Cloudflare's code, the HTTP status and the request id, as far as they are known."""
        parts = (
            ("code", self.code),
            ("HTTP", self.status),
            ("request", self.request_id),
        )
        return ", ".join(f"{name} {value}" for name, value in parts if value is not None)

    def __str__(self) -> str:
        reference = f" ({self.reference})" if self.reference else ""
        cause = self.cause.rstrip(".") + reference + "."
        return safe_line(f"{cause} {self.hint}").rstrip()

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]
