from __future__ import annotations

import base64
import math
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpanel.diagnostics import (
    Facts,
    Picture,
    Report,
    Section,
    Table,
    Text,
    candidate_table,
    render_report,
    write_report,
)
from fastpanel.errors import ArtifactError, ShapeError
from fastpanel.selection import select

VOID = {"meta", "img", "br", "link"}
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Page(HTMLParser):
    """Collects tags and text; every opened tag must be closed in order."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.text = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip() and (not self.open or self.open[-1] != "style"):
            self.text.append(data.strip())

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def pixel(tmp_path):
    path = tmp_path / "pixel.png"
    path.write_bytes(PIXEL)
    return path


def full(pixel):
    table = Table(("model", "ES", "ok"), (("ours", 1.2345678, True), ("naive", None, False)), "x")
    return Report(
        "Run <1>",
        "8 assets & more",
        facts=(("Weeks", 330), ("Sharpe", -0.5)),
        warnings=("2 < 3",),
        sections=(
            Section("Scores", (Text("One.\n\nTwo."), table)),
            Section("Pictures", (Picture(pixel, 'A "b"', "Read it."), Facts((("a", "b"),)))),
        ),
    )


def test_page_holds_every_part(pixel):
    page = Page(render_report(full(pixel)))
    for text in ("Run <1>", "8 assets & more", "330", "2 < 3", "One.", "Two.", "Read it.", "1.235"):
        assert text in page.text, text
    assert page.all("a") == [{"href": "#s1"}, {"href": "#s2"}]
    assert [attrs["id"] for attrs in page.all("section")] == ["s1", "s2"]


def test_the_picture_is_embedded(pixel):
    (image,) = Page(render_report(full(pixel))).all("img")
    kind, data = image["src"].split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == PIXEL
    assert (image["alt"], image["width"], image["height"]) == ('A "b"', "1", "1")


def test_nothing_is_fetched_and_nothing_runs(pixel):
    html = render_report(full(pixel))
    page = Page(html)
    assert not page.all("script") + page.all("link") + page.all("iframe")
    for _, attrs in page.tags:
        assert not [name for name in attrs if name.startswith("on")]
        for name in ("src", "href"):
            assert attrs.get(name, "#").startswith(("#", "data:"))
    assert "http" not in html
    assert "@import" not in html
    assert "url(" not in html


def test_a_phone_and_a_dark_screen_are_served(pixel):
    html = render_report(full(pixel))
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in Page(html).all(
        "meta"
    )
    assert "prefers-color-scheme:dark" in html
    assert "tabular-nums" in html
    assert "overflow-x:auto" in html


hostile = st.text(max_size=30) | st.sampled_from(["</script><b>", "'\"><img onerror=x>", "&lt;"])


@given(hostile)
def test_every_text_is_escaped(text):
    report = Report(
        text,
        text,
        facts=((text, text),),
        warnings=(text,),
        sections=(Section(text, (Text(text), Table((text,), ((text,),), text))), Section(text, ())),
    )
    page = Page(render_report(report))
    allowed = "html head meta title style body main h1 p dl div dt dd nav a section h2"
    allowed += " table caption thead tbody tr th td footer"
    assert {tag for tag, _ in page.tags} <= set(allowed.split())


def test_numbers_are_written_for_reading():
    cells = (0.123456, 12.3456, 1234.5678, 12345678.0, -0.5, 3, 2.0, 0.0, 1e-9, math.nan, math.inf)
    table = Table(("x",), tuple((cell,) for cell in cells))
    html = render_report(Report("t", sections=(Section("s", (table,)),)))
    shown = [part.split("</td>")[0] for part in html.split('<td class="num">')[1:]]
    assert shown == [
        "0.1235", "12.35", "1,235", "1.235e+07", "−0.5000", "3", "2", "0", "1.000e-09", "–", "∞",
    ]  # fmt: skip


def test_numbers_stand_right_and_words_left():
    table = Table(("name", "x"), (("a", 1.0), ("b", None)), highlight=(1,))
    html = render_report(Report("t", sections=(Section("s", (table,)),)))
    assert '<th scope="col">name</th><th scope="col" class="num">x</th>' in html
    assert '<tr class="pick"><td>b</td><td class="num">–</td></tr>' in html


def test_a_ragged_table_is_refused():
    with pytest.raises(ShapeError, match="row 1 has 1 cells"):
        Table(("a", "b"), ((1, 2), (1,)))


def test_write_is_atomic(tmp_path, pixel):
    path = tmp_path / "report.html"
    assert write_report(path, full(pixel)) == path
    before = path.read_text(encoding="utf-8")
    broken = Report("x", sections=(Section("s", (Picture(tmp_path / "no.png", "x"),)),))
    with pytest.raises(ArtifactError, match=r"no\.png"):
        write_report(path, broken)
    assert path.read_text(encoding="utf-8") == before


def test_only_png_files_are_embedded(tmp_path):
    (tmp_path / "x.png").write_text("<svg onload=alert(1)>")
    report = Report("x", sections=(Section("s", (Picture(tmp_path / "x.png", "x"),)),))
    with pytest.raises(ArtifactError, match="not a PNG file"):
        render_report(report)


def test_candidate_table_leads_with_the_pick():
    es = np.array([[[3.0]], [[1.0]], [[2.0]], [[np.nan]]])
    params = {"1": {"model.params.k": np.int64(3)}, "0": {"model.params.k": 4}}
    table = candidate_table(select(es, [[0]]), params)
    assert table.columns == ("candidate", "role", "es", "es se", "model.params.k")
    assert [row[0] for row in table.rows] == [1, 2, 0, 3]
    assert table.rows[0] == (1, "pick", 1.0, 0.0, 3)
    assert table.rows[3][2] is None
    assert table.highlight == (0,)


def test_candidate_table_is_cut_and_says_so():
    es = np.arange(1.0, 31.0)[:, None, None]
    table = candidate_table(select(es, [[0]]), limit=5)
    assert len(table.rows) == 5
    assert table.caption.startswith("The best 5 of 30 candidates.")


def test_folded_items_open_on_demand_and_are_escaped():
    from fastpanel.diagnostics import Folded

    folded = Folded("3 < 4 more", (Text("behind the line"), Table(("a",), ((1,),))))
    page = render_report(Report("r", sections=(Section("s", (folded,)),)))
    assert "<details><summary>3 &lt; 4 more</summary>" in page
    assert page.index("<details>") < page.index("behind the line") < page.index("</details>")
