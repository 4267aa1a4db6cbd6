"""The committed performance pages render the committed reports; no number is typed."""

from __future__ import annotations

from benches.render import DOCS, draw, page, pages
from benches.report import OURS, load_reports, load_targets, pairs, rows

REPORTS = load_reports()
WIDEST = REPORTS[0]


def test_each_page_is_a_rendering_of_its_report():
    wanted = pages(REPORTS, load_targets())
    assert {path.stem for path in DOCS.glob("performance*.md")} == set(wanted)
    for name, (text, _) in wanted.items():
        assert (DOCS / f"{name}.md").read_text(encoding="utf-8") == text, "run make performance"
        assert (DOCS / "images" / f"{name}.png").is_file()


def test_the_page_of_the_widest_vectors_has_the_plain_name():
    one = {**WIDEST, "machine": {**WIDEST["machine"], "simd": "avx2"}}
    texts = {name: text for name, (text, _) in pages([WIDEST, one], load_targets()).items()}
    assert list(texts) == ["performance", "performance-avx2"]
    assert "[AVX2](performance-avx2.md)" in texts["performance"]
    assert texts["performance-avx2"].startswith("# Performance with AVX2")


def test_targets_and_floors_name_what_is_in_the_report():
    table = rows(WIDEST["records"])
    families = {row.family for row in table}
    known = {pair.name for pair in pairs(table)}
    targets = load_targets()
    for target in targets["target"]:
        wanted = {f"{k} / {r}" for k in target["kernels"] for r in target["rivals"]}
        there = {name for name in wanted if name.split(".")[0] in families}
        assert not there or there & known, target
    smoked = {name for name in known if not name.startswith("engines.")}  # one runs at that size
    assert smoked <= set(targets["floors"])


def test_the_page_says_what_is_missed():
    report = WIDEST
    slow = [
        {**record, "seconds": record["seconds"] * 1000} if record["library"] == OURS else record
        for record in report["records"]
    ]
    text = page({**report, "records": slow}, load_targets())
    assert ", 0 reach it." in text
    assert text.count("**missed**") > 20


def test_the_chart_draws(tmp_path):
    draw(WIDEST, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes()[:4] == b"\x89PNG"
