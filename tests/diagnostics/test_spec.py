from __future__ import annotations

import pytest

from fastpanel.config import parse
from fastpanel.diagnostics import DiagnosticsSpec, FanChartSpec
from fastpanel.errors import ConfigError


def test_defaults():
    assert DiagnosticsSpec().model_dump() == {
        "fan_charts": {
            "enable": False,
            "assets": "all",
            "quantiles": (0.05, 0.25, 0.5, 0.75, 0.95),
            "coverage_levels": (0.5, 0.9),
        }
    }


@pytest.mark.parametrize("key", ["quantiles", "coverage_levels"])
@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1.5])
def test_levels_lie_strictly_between_0_and_1(key, value):
    with pytest.raises(ConfigError, match=rf"fan_charts.{key}: must lie in \(0, 1\)"):
        parse(DiagnosticsSpec, {"fan_charts": {key: [0.5, value]}})


def test_levels_are_sorted_and_unique():
    assert FanChartSpec(quantiles=[0.9, 0.1]).quantiles == (0.1, 0.9)
    with pytest.raises(ConfigError, match="twice"):
        parse(FanChartSpec, {"quantiles": [0.5, 0.5]})
    with pytest.raises(ConfigError, match="coverage_levels"):
        parse(FanChartSpec, {"coverage_levels": []})


def test_assets_all_or_a_list():
    assert FanChartSpec().select(["SPY", "QQQ"]) == ("SPY", "QQQ")
    assert FanChartSpec(assets=["QQQ"]).select(["SPY", "QQQ"]) == ("QQQ",)
    with pytest.raises(ConfigError, match=r"no asset 'XXX'; the forecasts have SPY, QQQ"):
        FanChartSpec(assets=["QQQ", "XXX"]).select(["SPY", "QQQ"])
