"""What is kept of the device benches: the fastest time of each work on each device."""

from __future__ import annotations

from benches.devices import reduced


def bench(what: str, on: str, seconds: float) -> dict:
    about = {"devices": {"cpu": "4 CPU cores", "cuda": "Some GPU"}, "versions": {"jax": "1.0"}}
    return {"extra_info": {"what": what, "on": on, **about}, "stats": {"min": seconds}}


def test_times_of_one_work_stand_together():
    raw = {"benchmarks": [bench("a fit", "cpu", 2.00049), bench("a fit", "cuda", 0.5)]}
    assert reduced(raw) == {
        "devices": {"cpu": "4 CPU cores", "cuda": "Some GPU"},
        "versions": {"jax": "1.0"},
        "seconds": {"a fit": {"cpu": 2.0, "cuda": 0.5}},
    }
