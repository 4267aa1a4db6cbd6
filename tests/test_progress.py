"""Progress for people: lines where there is no terminal, bars and a table where there is one."""

from __future__ import annotations

import io
import re

import pytest

from fastpanel.progress import Leader, PlainReporter, RichReporter, SilentReporter, reporter

LEADERS = [Leader("5", -1.25, "lr=0.01 k=2"), Leader("0", -1.5, "lr=0.1 k=1")]


def test_plain_lines_say_how_far_how_long_and_who_leads():
    out = io.StringIO()
    plain = PlainReporter(out, every_seconds=0.0)
    with plain.task("fold 3: fits", 4) as task:
        task.advance(1, leaders=LEADERS)
        task.advance(3, note="done")
    first, last = out.getvalue().splitlines()
    pattern = r"fold 3: fits: 1/4 after \d+ s, about \d+ s left, best 5 \(-1\.25\), 0 \(-1\.5\)"
    assert re.fullmatch(pattern, first)
    assert re.fullmatch(r"fold 3: fits: 4/4 after \d+ s, done", last)


def test_plain_lines_come_now_and_then_and_at_the_end():
    out = io.StringIO()
    with PlainReporter(out, every_seconds=3600.0).task("weeks", 3) as task:
        for _ in range(3):
            task.advance()
    assert len(out.getvalue().splitlines()) == 1


def test_a_terminal_shows_the_best_candidates_and_the_time_left():
    from rich.console import Console

    screen = RichReporter()
    screen._console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with screen.task("fold 3: fits", 4) as task:
        task.advance(1, leaders=LEADERS)
        task.advance(1)  # the table stays
    shown = screen._console.file.getvalue()
    last = shown[shown.rindex("fold 3: fits") :]
    assert "2/4" in last
    for text in ("best so far", "candidate", "-1.25", "lr=0.01 k=2", "-1.5"):
        assert text in last


def test_a_reporter_is_chosen_by_the_argument():
    assert isinstance(reporter(False), SilentReporter)
    assert isinstance(reporter(True), PlainReporter)  # under pytest there is no terminal
    own = SilentReporter()
    assert reporter(own) is own
    with own.task("x", 1) as task, pytest.raises(TypeError):
        task.advance(steps=1, unknown=2)
