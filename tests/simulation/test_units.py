from __future__ import annotations

import itertools

from fastpanel.simulation._units import Batch, Unit, plan_batches


def test_every_unit_is_in_one_batch_and_batches_respect_the_limit():
    plan = {str(i): {"training.svi.learning_rate": i / 10} for i in range(7)}
    for n_splits, limit in itertools.product((1, 3, 10), (1, 2, 5, 14, 64)):
        batches = plan_batches(plan, range(n_splits), limit, "fold")
        units = [unit for batch in batches for unit in batch.units]
        assert sorted(units) == sorted(Unit(c, k) for c in plan for k in range(n_splits))
        assert max(len(batch.units) for batch in batches) <= limit


def test_candidates_of_one_static_shape_share_batches_split_by_split():
    plan = {
        "0": {"model.params.num_factors": 1, "training.svi.learning_rate": 0.1},
        "1": {"model.params.num_factors": 3, "training.svi.learning_rate": 0.2},
        "2": {"model.params.num_factors": 1, "training.svi.learning_rate": 0.3},
    }
    batches = plan_batches(plan, range(3), 4, "fold")
    assert [batch.units for batch in batches] == [
        (("0", 0), ("2", 0), ("0", 1), ("2", 1)),
        (("0", 2), ("2", 2)),
        (("1", 0), ("1", 1), ("1", 2)),
    ]
    assert batches[2].values == {"1": plan["1"]}


def test_number_of_steps_does_not_part_candidates():
    plan = {str(i): {"training.svi.num_steps": 100 + i} for i in range(4)}
    assert len(plan_batches(plan, range(1), 64, "fold")) == 1


def test_keys_depend_on_fold_values_and_neighbours():
    plan = {"0": {"a": 1.0}, "1": {"a": 2.0}}
    both = [Unit("0", 0), Unit("1", 0)]
    batch = Batch.of("fold", both, plan)
    same = Batch.of("fold", both, plan)
    assert batch.key_of(both[0]) == same.key_of(both[0]) != batch.key_of(both[1])
    others = [
        Batch.of("another fold", both, plan),
        Batch.of("fold", both[:1], plan),
        Batch.of("fold", both, {**plan, "0": {"a": 1.5}}),
    ]
    keys = {other.key_of(both[0]) for other in others}
    assert len(keys) == 3
    assert batch.key_of(both[0]) not in keys
