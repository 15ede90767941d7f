"""Texts of strangers as pages show them: nothing hidden in them, links to the web only, Markdown without HTML."""

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from markupsafe import Markup

from app.core.hidden import printable

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MARKDOWN_CHARACTERS: Final = 20_000
"""Of a description that are shown; OpenML takes 16 384. The worst text of that length takes a second."""
DEEPEST: Final = 20
KEPT: Final = 200
"""Descriptions that stay rendered."""
WEB: Final = re.compile(r"https?://", re.IGNORECASE)
MAIL: Final = re.compile(r"mailto:[^?&]+", re.IGNORECASE)
BARE_LINK: Final = re.compile(r"https?://[^\s<>()\[\]\"'`]*[^\s<>()\[\]\"'`.,;:!?*_]", re.IGNORECASE)
ADDRESS_CHARACTERS: Final = 2000
LINK: Final = re.compile(r"!?\[([^\[\]]{0,300})\]\([^()\s]{0,300}\)")
MARKS: Final = re.compile(r"[*`~|]+|^[ \t]*[#>]+", re.MULTILINE)
"""Of Markdown, where a text is shown without it."""
NO_WORDS: Final = re.compile(
    r"^[ \t]*(?:#.*|\|.*|[-=*_+|: \t]{3,})$|^[ \t]*```[\s\S]*?(?:^[ \t]*```|\Z)", re.MULTILINE
)
"""Headings, tables, rules and code, which say nothing of what a text begins with."""
TITLE: Final = "h3"
"""Every heading of a description: it stands below the page's own, and pages must not skip a level."""


def plain(value: object, *, limit: int = 1000) -> str:
    """Return the text of a field, hidden characters as their code points; empty where it is no text and no number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    # Many texts of OpenML were written in the fields of forms, whose lines end so.
    text = str(value).replace("\r\n", "\n").replace("\r", "\n")
    cut = text if len(text) <= limit else f"{text[:limit]} …"
    return printable(cut, keep="\n\t").strip()


def one_line(value: object, *, limit: int = 300) -> str:
    """Return the text of a field in one line."""
    return " ".join(plain(value, limit=limit).split())


def web_address(value: object) -> str:
    """Return an address that a link may lead to; empty where it is none of the web's."""
    text = value.strip() if isinstance(value, str) else ""
    if len(text) > ADDRESS_CHARACTERS or not text.isprintable() or not WEB.match(text):
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return text if parts.hostname and parts.username is None and " " not in text else ""


@lru_cache(maxsize=KEPT)
def render_markdown(text: str) -> Markup:
    """Return a description as markup: CommonMark and tables; HTML in it is text, and so are pictures."""
    shown = plain(text, limit=MARKDOWN_CHARACTERS)
    parser = _parser()
    tokens = parser.parse(shown)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = TITLE
        if token.children is not None:
            token.children = [*_guarded(token.children)]
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704 - escaped by the renderer


def first_words(text: str, *, limit: int = 200) -> str:
    """Return how a description begins, in one line and without its Markdown."""
    begin = plain(text[: 3 * limit], limit=3 * limit)
    line = _unmarked(NO_WORDS.sub("", begin)) or _unmarked(begin)
    return line if len(line) <= limit else f"{line[:limit].rsplit(' ', 1)[0]} …"


def _unmarked(text: str) -> str:
    return " ".join(MARKS.sub("", LINK.sub(r"\1", text)).split())


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # noqa: PLC0415 - a start needs no page

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": DEEPEST}).enable("table")
    parser.validateLink = _may_lead_to  # type: ignore[method-assign, assignment]  # as its documentation does
    return parser


def _may_lead_to(address: str) -> bool:
    return bool(web_address(address)) or MAIL.fullmatch(address) is not None


def _guarded(tokens: Iterable["Token"]) -> Iterator["Token"]:
    """Yield the tokens, links marked as a stranger's, bare addresses as links, and pictures as links to them."""
    inside = 0
    for token in tokens:
        if token.type == "link_open":
            inside += 1
            _mark(token)
        elif token.type == "link_close":
            inside -= 1
        if token.type == "image":
            label = token.content or "picture"
            yield from _text(label) if inside else _link(str(token.attrGet("src") or ""), label)
        elif token.type == "text" and not inside:
            yield from _with_links(token.content)
        else:
            yield token


def _with_links(text: str) -> Iterator["Token"]:
    end = 0
    for found in BARE_LINK.finditer(text):
        if web_address(found.group()):
            yield from _text(text[end : found.start()])
            yield from _link(found.group(), found.group())
            end = found.end()
    yield from _text(text[end:])


def _text(content: str) -> Iterator["Token"]:
    from markdown_it.token import Token  # noqa: PLC0415 - as above

    yield Token("text", "", 0, content=content)


def _link(address: str, label: str) -> Iterator["Token"]:
    from markdown_it.token import Token  # noqa: PLC0415 - as above

    if not web_address(address):
        yield from _text(label)
        return
    begin = Token("link_open", "a", 1, attrs={"href": address})
    _mark(begin)
    yield begin
    yield from _text(label)
    yield Token("link_close", "a", -1)


def _mark(token: "Token") -> None:
    token.attrSet("rel", "nofollow ugc noopener noreferrer")
