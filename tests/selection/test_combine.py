from __future__ import annotations

import json
import math

import numpy as np
import pytest

from fastpanel._files import read_json, write_json
from fastpanel.errors import ArtifactError, ParameterError, ShapeError
from fastpanel.selection import Selection, combine, select

NAN = math.nan


def fold(es, crps=None, ql=None, **options):
    def shape(values):
        return None if values is None else np.asarray(values, float)[:, None, None, None]

    scores = np.asarray(es, float)[:, None, None]
    return select(scores, [[0]], crps=shape(crps), ql=shape(ql), **options)


def test_energy_score_is_the_median_over_folds():
    folds = [fold([x, 5.0]) for x in (1.0, 2.0, 9.0)]
    assert combine(folds).es_model.tolist() == [2.0, 5.0]


def test_standard_error_is_the_median_of_fold_errors():
    rng = np.random.default_rng(1)
    folds = [select(rng.gamma(2.0, size=(2, 1, 6)), [np.arange(6)]) for _ in range(3)]
    expected = [sorted(f.se_es[m] for f in folds)[1] for m in range(2)]
    assert combine(folds).se_es.tolist() == expected


def test_a_candidate_that_never_survives_keeps_nan():
    folds = [fold([1.0, 1.0, 3.0], [0.2, 0.3, 0.1], [0.2, 0.3, 0.1]) for _ in range(2)]
    result = combine(folds)
    assert math.isnan(result.crps_model[2])
    assert math.isnan(result.ql_model[2])
    assert result.pick == 0


def test_secondary_medians_run_over_the_folds_survived():
    folds = [
        fold([1.0, 1.0], [0.4, 0.2]),
        fold([1.0, 2.0], [0.6, 0.9]),  # candidate 1 outside the band: its 0.9 is not used
        fold([1.0, 1.0], [0.8, 0.3]),
    ]
    result = combine(folds)
    np.testing.assert_allclose(result.crps_model, [0.6, 0.25])


def test_medians_are_shown_outside_the_global_band_too():
    # candidate 1 survives one fold of three, but not the global band
    folds = [fold([1.0, 1.0], [0.4, 0.2]), *(fold([1.0, 2.0], [0.4, 0.2]) for _ in range(2))]
    result = combine(folds)
    assert result.survivors == (0,)
    assert result.crps_model.tolist() == [0.4, 0.2]
    assert math.isnan(result.secondary_score[1])


def test_rank_and_complexity_run_once_on_the_medians():
    crps, ql = [0.1, 0.2, 0.3], [0.3, 0.1, 0.2]
    folds = [fold([1.0] * 3, crps, ql, complexity=[1.0, 2.0, 3.0]) for _ in range(3)]
    result = combine(folds)
    assert result.secondary_score.tolist() == [4.0, 3.0, 5.0]
    assert result.pick == 1
    assert combine([fold([1.0, 1.0], complexity=[9.0, 2.0])]).pick == 1


def test_failure_in_one_fold_is_a_failure():
    es = np.ones((2, 1, 2))
    es[0, 0, 0] = NAN
    folds = [select(np.ones((2, 1, 2)), [[0, 1]]), select(es, [[0, 1]])]
    result = combine(folds)
    assert (result.failed, result.pick) == ((0,), 1)


def test_folds_must_fit_together():
    with pytest.raises(ShapeError, match=r"\[2, 1\]"):
        combine([fold([1.0, 2.0]), fold([1.0])])
    with pytest.raises(ParameterError, match="at least one"):
        combine([])


def test_selection_survives_json(tmp_path):
    result = fold([1.0, 1.0, 3.0], [0.2, 0.3, 0.1], complexity=[1, 2, 3])
    path = tmp_path / "selection.json"
    write_json(path, result.to_dict())
    assert "NaN" in path.read_text()
    assert Selection.from_dict(read_json(path)) == result


def test_strict_readers_get_null():
    result = fold([1.0, 3.0], [0.2, 0.1])
    text = json.dumps(result.to_dict(nan_as_none=True), allow_nan=False)
    assert Selection.from_dict(json.loads(text)) == result
    assert result.metrics(nan_as_none=True)["1"]["crps_model"] is None


def test_metrics_hold_every_saved_field():
    result = fold([1.0, 3.0], [0.2, 0.1], complexity=[4.0, 5.0])
    table = result.metrics()
    assert list(table) == ["0", "1"]
    assert table["0"] == {
        "es_model": 1.0, "se_es": 0.0, "crps_model": 0.2,
        "ql_model": pytest.approx(NAN, nan_ok=True),
        "complexity": 4.0, "survivor": True, "pick": True,
    }  # fmt: skip
    assert math.isnan(table["1"]["crps_model"])
    assert not table["1"]["survivor"]


def test_foreign_json_is_refused():
    with pytest.raises(ArtifactError, match="pick"):
        Selection.from_dict({"es_model": [1.0]})


def test_arrays_are_read_only_and_equality_sees_values():
    result = fold([1.0, 2.0])
    with pytest.raises(ValueError, match="read-only"):
        result.es_model[0] = 0.0
    assert result == fold([1.0, 2.0])
    assert result != fold([1.0, 2.5])
