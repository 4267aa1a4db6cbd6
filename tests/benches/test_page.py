"""The committed performance page is a rendering of the committed report; no number is typed."""

from __future__ import annotations

from benches.render import CHART, PAGE, draw, page
from benches.report import OURS, load_report, load_targets, pairs, rows


def test_the_page_is_a_rendering_of_the_report():
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(load_report(), load_targets()), "run make performance"
    assert CHART.is_file()


def test_targets_and_floors_name_what_is_in_the_report():
    table = rows(load_report()["records"])
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
    report = load_report()
    slow = [
        {**record, "seconds": record["seconds"] * 1000} if record["library"] == OURS else record
        for record in report["records"]
    ]
    text = page({**report, "records": slow}, load_targets())
    assert ", 0 reach it." in text
    assert text.count("**missed**") > 20


def test_the_chart_draws(tmp_path):
    draw(load_report(), tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes()[:4] == b"\x89PNG"
