"""Display the tokens of an answer: shaded by probability as HTML, and as a table.

A token may have any text, such as tags or control characters, so all of its text is escaped.
"""

from html import escape

from ..i18n import _
from ..markdown.escaping import escape_html, normalize_text
from ..terminal import sanitize_line, sanitize_text
from ..texts import shorten
from ..types.tokens import Alternative, Token, Tokens
from .heatmap import COLOR, MAX_OPACITY
from .tables import MimeBundle, Table, muted_html

MAX_ROWS = 200  # of the table; a longer one would make a notebook large
MAX_TOKEN_CHARS = 30
LIKELY, UNLIKELY = 0.9, 0.5  # the underline shows these levels in forced colors and in print
MIN_SHOWN = 0.001  # smaller probabilities are not shown as zero
LINE_END = "⏎"
VISIBLE_SIGNS = {"\n": LINE_END, "\t": "⇥"}
# The alternatives are in `title`, which also shows them on hover if a front end removes the style
# sheet. `tabindex` makes each token focusable. The list of a focused token is a block in the text,
# because JupyterLab cuts off what is outside of the output area.
STYLE_SHEET = (
    "<style>.cfai-tokens [title]:focus{outline:2px solid}"
    ".cfai-tokens [title]:focus::after{content:attr(title);display:block;width:fit-content;"
    "margin:.2em 0;padding:.3em .6em;white-space:pre-wrap;border:1px solid}</style>"
)
TEXT_STYLE = "white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.7;margin:.5em 0"


def build_tokens_bundle(tokens: Tokens) -> MimeBundle:
    """Return the shaded tokens as a MIME bundle, with the table as plain text."""
    return {"text/html": render_tokens(tokens), "text/plain": str(build_table(tokens))}


def render_tokens(tokens: Tokens) -> str:
    """Return HTML with the shaded tokens, a legend and a closed table."""
    spans = "".join(map(_render_token, tokens))
    legend = muted_html(
        _(
            "The stronger the shade of a token, the less likely it was. Point to a token or focus "
            "it to see the alternatives."
        )
    )
    summary = escape_html(_("Tokens with their probabilities as a table"))
    table = build_table(tokens)._repr_html_()
    return (
        f'{STYLE_SHEET}<div class="cfai-tokens" dir="auto" style="{TEXT_STYLE}">{spans}</div>'
        f"{legend}<details><summary>{summary}</summary>{table}</details>"
    )


def _render_token(token: Token) -> str:
    html = escape_html(sanitize_text(normalize_text(token.text))).replace("\n", f"{LINE_END}\n")
    return (
        f'<span tabindex="0" title="{escape(_format_title(token))}" '
        f'style="{_get_style(token.probability)}">{html}</span>'
    )


def _get_style(probability: float | None) -> str:
    if probability is None:
        return "border-bottom:2px dashed"
    opacity = MAX_OPACITY * (1.0 - probability)
    lines = (
        "2px solid" if probability < UNLIKELY else "1px dotted" if probability < LIKELY else "none"
    )
    return f"background:rgba({COLOR},{opacity:.2f});border-bottom:{lines}"


def _format_title(token: Token) -> str:
    """Return a line with the token's probability, and one for each alternative."""
    first = f"{_format_text(token.text)} {_format_probability(token.probability)}"
    return "\n".join((first, *map(_format_alternative, token.alternatives)))


def _format_alternative(alternative: Alternative) -> str:
    probability = _format_probability(alternative.probability)
    return f"{probability} {_format_text(alternative.text)}"


def _format_text(text: str) -> str:
    """Return a token in quotes, with visible line ends, so that spaces can be seen."""
    visible = "".join(VISIBLE_SIGNS.get(sign, sign) for sign in normalize_text(text))
    return f"“{shorten(sanitize_line(visible), MAX_TOKEN_CHARS)}”"


def _format_probability(probability: float | None) -> str:
    if probability is None:
        return _("unknown")
    if probability < MIN_SHOWN:
        return f"<{MIN_SHOWN * 100:.1f} %"
    return f"{probability * 100:.1f} %"


def build_table(tokens: Tokens) -> Table:
    """Return a table of the tokens with their probabilities and alternatives."""
    rows = tuple(
        (
            str(number),
            _format_text(token.text),
            _format_probability(token.probability),
            " · ".join(map(_format_alternative, token.alternatives)),
        )
        for number, token in enumerate(tokens[:MAX_ROWS], 1)
    )
    note = ""
    if len(tokens) > MAX_ROWS:
        note = _("The first {count} of {total:,} tokens. {attribute} has all of them.").format(
            count=MAX_ROWS, total=len(tokens), attribute="Answer.tokens"
        )
    columns = ("#", _("token"), _("probability"), _("alternatives"))
    return Table(columns, rows, note, number_columns=(0, 2))
