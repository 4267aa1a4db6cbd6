"""One self-contained HTML page: inline style, embedded pictures, nothing fetched."""

from __future__ import annotations

import base64
import math
from html import escape
from pathlib import Path

from fastpanel._files import write_text
from fastpanel._version import __version__
from fastpanel.diagnostics._page import (
    Cell,
    Facts,
    Folded,
    Item,
    Picture,
    Report,
    Section,
    Table,
    Text,
)
from fastpanel.errors import ArtifactError

_STYLE = """
:root{color-scheme:light dark;--bg:#fbfbfc;--card:#fff;--ink:#1b1f24;--muted:#5c6675;
--line:#e3e7ec;--accent:#1d5fbf;--tint:#eaf1fb;--warn:#8a4b00;--warnbg:#fff4e0;--warnline:#f0c36d}
@media(prefers-color-scheme:dark){:root{--bg:#111418;--card:#191d23;--ink:#e7eaef;--muted:#9aa5b4;
--line:#2b313a;--accent:#7fb0f5;--tint:#1c2b42;--warn:#ffcf87;--warnbg:#33270f;--warnline:#6d5320}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.7rem;line-height:1.2;margin:.5rem 0 .25rem;letter-spacing:-.01em;text-wrap:balance}
h2{font-size:1.25rem;margin:2.5rem 0 .75rem;padding-top:1rem;border-top:1px solid var(--line)}
p{margin:.5rem 0;max-width:42rem}
.sub,figcaption,caption,footer{color:var(--muted)}
nav{display:flex;flex-wrap:wrap;gap:.4rem;margin:1rem 0}
nav a{color:var(--accent);text-decoration:none;background:var(--tint);border-radius:999px;
padding:.25rem .75rem;font-size:.9rem}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.6rem;margin:1rem 0}
dl div{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.6rem .8rem}
dt{color:var(--muted);font-size:.82rem}
dd{margin:0;font-size:1.15rem;font-weight:600;font-variant-numeric:tabular-nums;
overflow-wrap:anywhere}
.note,.warning{border-radius:.6rem;padding:.6rem .9rem;margin:.75rem 0;background:var(--tint)}
.warning{background:var(--warnbg);border:1px solid var(--warnline);color:var(--warn)}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,26rem),1fr));gap:1rem;
margin:1rem 0}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:.7rem;
overflow:hidden}
img{display:block;width:100%;height:auto;background:#fff}
figcaption{padding:.6rem .9rem;font-size:.92rem;border-top:1px solid var(--line)}
.scroll{overflow-x:auto;margin:1rem 0;background:var(--card);border:1px solid var(--line);
border-radius:.7rem}
table{border-collapse:collapse;width:100%;font-size:.92rem;font-variant-numeric:tabular-nums}
caption{caption-side:bottom;text-align:left;padding:.5rem .8rem;font-size:.88rem}
th,td{padding:.4rem .7rem;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
td.num{white-space:nowrap}
th{color:var(--muted);font-weight:600;font-size:.85rem;vertical-align:bottom}
tr>:first-child{position:sticky;left:0;background:var(--card);
box-shadow:1px 0 0 var(--line);min-width:5.5rem;max-width:11rem;overflow-wrap:break-word}
tr.pick>:first-child{background:var(--tint)}
details{margin:1rem 0}
summary{cursor:pointer;color:var(--accent);font-weight:600;padding:.4rem 0}
tr:last-child td{border-bottom:0}
.num{text-align:right}
tr.pick td{background:var(--tint);font-weight:600}
footer{margin-top:3rem;font-size:.85rem}
@media print{nav{display:none}figure,.scroll{break-inside:avoid}}
"""


def write_report(path: Path, report: Report) -> Path:
    """Write ``report`` as one HTML file, atomically, and return its path.

    Pictures are embedded, every text is escaped, and the page needs no network
    and no script. Light and dark follow the reader's setting.

    Parameters
    ----------
    path : Path
    report : Report

    Returns
    -------
    Path

    Raises
    ------
    ArtifactError
        A picture is missing or is no PNG file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_report(Path(folder) / "report.html", Report("My run")).name
    'report.html'
    """
    write_text(path, render_report(report))
    return path


def render_report(report: Report) -> str:
    """Return the page as text.

    Parameters
    ----------
    report : Report

    Returns
    -------
    str
        HTML.

    Raises
    ------
    ArtifactError
        A picture is missing or is no PNG file.

    Examples
    --------
    >>> page = render_report(Report("A < B"))
    >>> "<h1>A &lt; B</h1>" in page
    True
    """
    names = [f"s{position}" for position in range(1, len(report.sections) + 1)]
    links = "".join(
        f'<a href="#{name}">{escape(section.title)}</a>'
        for name, section in zip(names, report.sections, strict=True)
    )
    body = [
        f"<h1>{escape(report.title)}</h1>",
        f'<p class="sub">{escape(report.subtitle)}</p>' if report.subtitle else "",
        *(f'<p class="warning" role="note">{escape(text)}</p>' for text in report.warnings),
        _facts(report.facts) if report.facts else "",
        f'<nav aria-label="Sections">{links}</nav>' if len(names) > 1 else "",
        *(_section(*pair) for pair in zip(names, report.sections, strict=True)),
        f"<footer>Written by fastpanel {escape(__version__)}.</footer>",
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(report.title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{_lines(body)}\n</main>\n</body>\n</html>\n"
    )


def _section(name: str, section: Section) -> str:
    head = [f'<section id="{name}">', f"<h2>{escape(section.title)}</h2>"]
    return _lines([*head, *_items(section.items), "</section>"])


def _items(items: tuple[Item, ...]) -> list[str]:
    parts: list[str] = []
    pictures: list[str] = []
    for item in items:
        if isinstance(item, Picture):
            pictures.append(_picture(item))
            continue
        parts += [*_gallery(pictures), _item(item)]
        pictures = []
    return [*parts, *_gallery(pictures)]


def _gallery(pictures: list[str]) -> list[str]:
    return [f'<div class="pictures">{_lines(pictures)}</div>'] if pictures else []


def _item(item: Item) -> str:
    if isinstance(item, Table):
        return _table(item)
    if isinstance(item, Facts):
        return _facts(item.items)
    if isinstance(item, Picture):
        return _picture(item)
    if isinstance(item, Folded):
        inside = _lines(_items(item.items))
        return f"<details><summary>{escape(item.title)}</summary>\n{inside}\n</details>"
    return _text(item)


def _text(text: Text) -> str:
    kind = "" if text.kind == "plain" else f' class="{text.kind}"'
    paragraphs = [part for part in text.body.split("\n\n") if part.strip()]
    return _lines([f"<p{kind}>{escape(part.strip())}</p>" for part in paragraphs])


def _facts(items: tuple[tuple[str, Cell], ...]) -> str:
    tiles = [
        f"<div><dt>{escape(label)}</dt><dd>{escape(_show(value))}</dd></div>"
        for label, value in items
    ]
    return f"<dl>{_lines(tiles)}</dl>"


def _table(table: Table) -> str:
    numeric = [
        any(_is_number(row[i]) for row in table.rows)
        and all(_is_number(row[i]) or row[i] is None for row in table.rows)
        for i in range(len(table.columns))
    ]
    head = "".join(
        f'<th scope="col"{_num(right)}>{escape(name)}</th>'
        for name, right in zip(table.columns, numeric, strict=True)
    )
    rows = []
    for position, row in enumerate(table.rows):
        mark = ' class="pick"' if position in table.highlight else ""
        cells = "".join(
            f"<td{_num(right)}>{escape(_show(cell))}</td>"
            for cell, right in zip(row, numeric, strict=True)
        )
        rows.append(f"<tr{mark}>{cells}</tr>")
    caption = f"<caption>{escape(table.caption)}</caption>" if table.caption else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="table"><table>{caption}'
        f"<thead><tr>{head}</tr></thead><tbody>{_lines(rows)}</tbody></table></div>"
    )


def _picture(picture: Picture) -> str:
    try:
        data = picture.path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read the picture {picture.path}: {error.strerror}") from None
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        raise ArtifactError(f"not a PNG file: {picture.path}")
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    caption = f"<figcaption>{escape(picture.caption)}</figcaption>" if picture.caption else ""
    return (
        f'<figure><img alt="{escape(picture.title)}" width="{width}" height="{height}" '
        f'loading="lazy" src="data:image/png;base64,{base64.b64encode(data).decode()}">'
        f"{caption}</figure>"
    )


def _num(right: bool) -> str:
    return ' class="num"' if right else ""


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)


def _show(cell: Cell) -> str:
    """Write a cell: four significant digits, a dash for what is not there."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return _number(cell)
    return cell


def _number(value: float) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size and not 1e-4 <= size < 1e7:
        text = f"{value:.3e}"
    elif value.is_integer() and size < 1e7:
        text = f"{value:,.0f}"
    else:
        digits = max(0, 3 - math.floor(math.log10(size))) if size else 0
        text = f"{value:,.{min(digits, 6)}f}"
    return text.replace("-", "−", 1) if value < 0 else text


def _lines(parts: list[str]) -> str:
    return "\n".join(part for part in parts if part)
