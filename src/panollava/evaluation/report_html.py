"""HTML that is escaped unless it was built here: ``tag("p", text)`` is safe whatever the text holds."""

import html
from collections.abc import Mapping, Sequence
from types import MappingProxyType

_NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})
_VOID = frozenset({"img", "source", "meta", "link", "br"})


class Html(str):
    """Markup. A plain ``str`` beside it is text, and is escaped."""

    __slots__ = ()


def escape(text: str) -> Html:
    """Return text as markup; what is markup already stays.

    Example:
        >>> escape("<script>"), escape(Html("<br>"))
        ('&lt;script&gt;', '<br>')
    """
    return text if isinstance(text, Html) else Html(html.escape(text, quote=True))


def join(parts: Sequence[str], *, between: str = "") -> Html:
    """Return the parts one after the other, texts escaped."""
    return Html(escape(between).join(escape(part) for part in parts))


def tag(name: str, *children: str, attrs: Mapping[str, str] = _NO_ATTRIBUTES) -> Html:
    """Return an element; children that are plain text are escaped, and so are attribute values.

    Example:
        >>> tag("p", "1 < 2", attrs={"class": "note"})
        '<p class="note">1 &lt; 2</p>'
    """
    head = "".join(f' {key}="{html.escape(value, quote=True)}"' for key, value in attrs.items())
    if name in _VOID:
        return Html(f"<{name}{head}>")
    return Html(f"<{name}{head}>{join(children)}</{name}>")


def section(identity: str, title: str, *children: str) -> Html:
    """Return a section of the report with its heading; `identity` is its anchor."""
    heading = tag("h2", title, attrs={"id": f"{identity}-title"})
    return tag("section", heading, *children, attrs={"id": identity, "aria-labelledby": f"{identity}-title"})


def absent(reason: str) -> Html:
    """Return the sentence that stands where a part of the report would be."""
    return tag("p", reason, attrs={"class": "absent"})


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    caption: str,
    numeric: Sequence[int] = (),
    stacks: bool = False,
) -> Html:
    """Return a table; the first cell of each row is its header.

    Args:
        headers: One text per column.
        rows: Cells, text or markup.
        caption: What the table shows; read out first by a screen reader.
        numeric: Indices of the columns that are set flush right.
        stacks: Whether, on a narrow screen, a row becomes a list of its cells; otherwise the table scrolls.
    """
    head = [tag("th", text, attrs={"scope": "col", **_aligned(i, numeric)}) for i, text in enumerate(headers)]
    body = []
    for row in rows:
        cells = [tag("th", row[0], attrs={"scope": "row"})]
        cells += [
            tag("td", cell, attrs={"data-name": headers[i], **_aligned(i, numeric)})
            for i, cell in enumerate(row[1:], start=1)
        ]
        body.append(tag("tr", *cells))
    style = {"class": "stacks"} if stacks else {}
    content = tag("table", tag("caption", caption), tag("thead", tag("tr", *head)), tag("tbody", *body), attrs=style)
    return tag("div", content, attrs={"class": "scroll", "tabindex": "0", "role": "region", "aria-label": caption})


def _aligned(column: int, numeric: Sequence[int]) -> dict[str, str]:
    return {"class": "number"} if column in numeric else {}
