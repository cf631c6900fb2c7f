"""Values to HTML. Every text is escaped here: names of classes and files may hold anything."""

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from mobilevit.text import printable


def safe(content: str) -> str:
    """A text that can stand anywhere in the page."""
    return escape(printable(content), quote=True)


def code(content: str) -> str:
    """A command, as it was typed."""
    return f"<pre>{safe(content)}</pre>"


def heading(content: str) -> str:
    return f"<h3>{safe(words(content))}</h3>"


def cards(figures: Mapping[str, str]) -> str:
    """Key figures, each with its name; the first stands out."""
    return f'<dl class="cards">{_pairs(figures)}</dl>'


def pairs(values: Mapping[str, Any]) -> str:
    """Names and values, in columns where there is room."""
    return f'<dl class="pairs">{_pairs({name: text(value) for name, value in values.items()})}</dl>'


def _pairs(values: Mapping[str, str]) -> str:
    broken = {safe(name): safe(value).replace("_", "_<wbr>") for name, value in values.items()}  # at underscores
    return "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in broken.items())


def notes(lines: Iterable[str]) -> str:
    """Small print, a line each."""
    return "".join(f'<p class="note">{safe(line)}</p>' for line in lines)


def section(title: str, content: str, *, about: str = "") -> str:
    """A sheet of the page; nothing at all where there is no content."""
    if not content:
        return ""
    line = f"<p>{safe(about)}</p>" if about else ""
    return f"<section><h2>{safe(title)}</h2>{line}{content}</section>"


def folded(title: str, content: str) -> str:
    """A sheet that is closed until it is asked for."""
    return f"<section><details><summary>{safe(title)}</summary>{content}</details></section>"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows by column name; the first column heads its row. Shares of one get a bar."""
    if not rows:
        return ""
    numeric = {name for name in rows[0] if any(isinstance(row[name], int | float) for row in rows)}
    heads = "".join(f"<th{' class=number' if name in numeric else ''}>{safe(words(name))}</th>" for name in rows[0])
    body = "".join(f"<tr>{''.join(_cells(row, numeric))}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def _cells(row: Mapping[str, Any], numeric: set[str]) -> Iterable[str]:
    for place, (name, value) in enumerate(row.items()):
        if place == 0:
            yield f"<th>{safe(text(value))}</th>"
        elif isinstance(value, float) and 0 <= value <= 1:
            yield f'<td class="number share" style="--part: {100 * value:.1f}%">{safe(text(value))}</td>'
        else:
            yield f"<td{' class=number' if name in numeric else ''}>{safe(text(value))}</td>"


def grid(figures: Iterable[tuple[str, str]]) -> str:
    """Images (as markup) with their captions (as text)."""
    content = "".join(f"<figure>{image}<figcaption>{safe(caption)}</figcaption></figure>" for image, caption in figures)
    return f'<div class="grid">{content}</div>' if content else ""


def plots(figures: Mapping[str, str]) -> str:
    """Images (as markup) under their titles (as text), side by side where there is room."""
    content = "".join(
        f"<figure><figcaption>{safe(title)}</figcaption>{image}</figure>" for title, image in figures.items()
    )
    return f'<div class="plots">{content}</div>' if content else ""


def words(name: str) -> str:
    """A column's name for people: "mean_recall" to "mean recall", "top1" to "top-1"."""
    return re.sub(r"(?<=[a-z]{2})(?=\d)", "-", name.replace("_", " "))


def text(value: Any) -> str:
    """A value for people."""
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) >= 1e-3 or value == 0 else f"{value:.2g}"
    return f"{value:,}" if isinstance(value, int) else printable(value)
