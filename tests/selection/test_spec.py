from __future__ import annotations

import pytest

from fastpanel.config import parse
from fastpanel.errors import ConfigError
from fastpanel.selection import SelectionSpec


def test_defaults():
    assert SelectionSpec().model_dump() == {
        "enable": False,
        "es_band": {"c": 1.0, "min_keep": 1, "max_keep": 10},
        "alpha_tail": 0.05,
        "bootstrap": {"num_samples": 1000},
        "seed": 123,
    }


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({"es_band": {"c": -0.1}}, "es_band.c"),
        ({"es_band": {"min_keep": 4, "max_keep": 3}}, "min_keep 4 exceeds max_keep 3"),
        ({"alpha_tail": 1.0}, "alpha_tail"),
        ({"bootstrap": {"num_samples": 1}}, "bootstrap.num_samples"),
        ({"es_bnad": {}}, "did you mean 'es_band'"),
    ],
)
def test_mistakes_are_named(section, text):
    with pytest.raises(ConfigError, match=text):
        parse(SelectionSpec, section)
