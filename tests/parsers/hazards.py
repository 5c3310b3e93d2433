"""What in a page loads, runs or leads to where it should not, by a list of what is allowed."""

import re
from html.parser import HTMLParser

TAGS = {
    *("h1", "h2", "h3", "h4", "h5", "h6", "p", "ul", "ol", "li", "dl", "dt", "dd", "blockquote"),
    *("pre", "code", "em", "strong", "s", "del", "a", "br", "hr", "sub", "sup", "span", "div"),
    *("table", "thead", "tbody", "tr", "th", "td", "img", "input"),
}
ATTRIBUTES = {
    *("alt", "title", "class", "id", "start", "align", "rel", "target"),
    *("type", "disabled", "checked"),  # of the boxes of task lists
}
ADDRESS = re.compile(r"https?://|mailto:", re.IGNORECASE)
ANCHOR = re.compile("#")  # of nbconvert's headings
DATA = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}\Z")
ALIGNED = re.compile(r"text-align: ?(?:left|right|center);?\Z")
DRAWN = re.compile(
    r"\$\$(?:\\.|[^$\\])*\$\$|\$(?:\\.|[^$\\])*\$|\\\(.*?\\\)|\\\[.*?\\\]|\\begin\{.*?\\end\{",
    re.DOTALL,
)
REACHES = re.compile(
    r"\\(?:href|url|require|includegraphics|unicode|style|class|cssId|html|data|bbox|mmlToken|def"
    r"|let|newcommand)(?![a-zA-Z])"
)
NOT_TYPESET = {"pre", "code", "script", "style", "textarea", "annotation"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"br", "hr", "img", "input"}:
            self._open.append(tag)
        if tag not in TAGS:
            self.found.append(f"<{tag}>")
        self.found += [
            f"<{tag} {name}={value!r}>"
            for name, value in attrs
            if not _is_allowed(tag, name, value or "", dict(attrs))
        ]

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            del self._open[len(self._open) - 1 - self._open[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        if NOT_TYPESET.isdisjoint(self._open):
            self.found += [math for math in DRAWN.findall(data) if REACHES.search(math)]

    def handle_comment(self, data: str) -> None:
        self.found.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self.found.append(f"<!{decl}>")

    def unknown_decl(self, data: str) -> None:
        self.found.append(f"<![{data}]>")

    def handle_pi(self, data: str) -> None:
        self.found.append(f"<?{data}>")


def _is_allowed(tag: str, name: str, value: str, attributes: dict[str, str | None]) -> bool:
    if name == "href":
        of_heading = attributes.get("class") == "anchor-link" and bool(ANCHOR.match(value))
        return tag == "a" and (bool(ADDRESS.match(value)) or of_heading)
    if name == "src":
        return tag == "img" and bool(DATA.match(value))
    if name == "style":
        return bool(ALIGNED.match(value))
    return name in ATTRIBUTES


def hazards(html: str) -> list[str]:
    """Return what the HTML has beside what is allowed: nothing, if it loads and runs nothing."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.found
