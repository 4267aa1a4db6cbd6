"""Real Ray: a cluster of two nodes on this machine, one of them killed in the middle."""

from __future__ import annotations

import time
from typing import NamedTuple

import pytest

import fastpanel as fp
from fastpanel.errors import ModelError
from fastpanel.simulation import load_config
from fastpanel.tuning import make_engine
from tests.simulation.test_engines import ledger, with_tuning

ray = pytest.importorskip("ray", reason="needs the extra 'ray'")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning:ray.*"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Task(NamedTuple):
    number: int

    @property
    def key(self) -> str:
        return f"task-{self.number}"


class Slow:
    """Takes a moment and says on which node it ran."""

    def __init__(self, bad: int = -1) -> None:
        self.bad, self.loads = bad, 0

    def load(self) -> int:
        self.loads += 1
        return 3

    def open(self, shared: int):
        bad = self.bad

        def run(task: Task) -> tuple[int, str]:
            import ray

            if task.number == bad:
                raise ModelError("no such thing")
            time.sleep(0.4)
            return task.number * shared, ray.get_runtime_context().get_node_id()

        return run


@pytest.fixture(scope="module")
def cluster():
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    yield cluster
    if ray.is_initialized():
        ray.shutdown()
    cluster.shutdown()


def engine_at(cluster):
    tuning = {"engine": "ray", "ray": {"address": cluster.address}}
    return make_engine(load_config({"tuning": tuning}).tuning)


def test_a_node_killed_in_the_middle_loses_nothing(cluster):
    node = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    work, engine = Slow(), engine_at(cluster)
    found: dict[int, tuple[int, str]] = {}
    killed: list[str] = []

    def done(task: Task, result: tuple[int, str]) -> None:
        found[task.number] = result
        both = {where for _, where in found.values()}
        if len(both) == 2 and not killed:
            killed.append(node.node_id)
            cluster.remove_node(node, allow_graceful=False)

    engine.execute(work, [Task(i) for i in range(12)], done)
    engine.close()
    assert killed, "both nodes should have worked"
    assert {number: value for number, (value, _) in found.items()} == {i: 3 * i for i in range(12)}
    assert work.loads == 1
    assert not ray.is_initialized()  # a session that the engine opened, it closes


def test_an_error_of_a_task_arrives_as_it_was(cluster):
    engine = engine_at(cluster)
    with pytest.raises(ModelError, match="no such thing"):
        engine.execute(Slow(bad=1), [Task(i) for i in range(3)], lambda *_: None)
    assert not ray.is_initialized()


def test_a_session_that_was_open_before_stays_open(cluster):
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        engine = engine_at(cluster)
        engine.execute(Slow(), [Task(1)], lambda *_: None)
        engine.close()
        assert ray.is_initialized()
    finally:
        ray.shutdown()


def test_a_run_on_a_cluster_that_loses_a_node_equals_a_local_one(cluster, config, panel):
    tuning = {"num_samples": 4, "batch_units": 2}
    local = fp.simulation.run(with_tuning(config, "local", **tuning), panel=panel, progress=False)
    node = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    settings = with_tuning(config, "ray", engine="ray", ray={"address": cluster.address}, **tuning)

    class Killer:
        """A reporter that kills the node at the first sign of progress."""

        def __init__(self) -> None:
            self.alive = True

        def task(self, title: str, total: int):
            from contextlib import nullcontext

            return nullcontext(self)

        def advance(self, steps=1, note="", leaders=()):
            if self.alive and leaders:
                self.alive = False
                cluster.remove_node(node, allow_graceful=False)

        def say(self, text: str) -> None:
            pass

    killer = Killer()
    result = fp.simulation.run(settings, panel=panel, progress=killer)
    assert not killer.alive
    assert ledger(result) == ledger(local)
    assert result.picks == local.picks


def test_resources_reach_ray_and_gpus_only_where_they_are_wanted():
    tuning = {"engine": "ray", "resources": {"cpu": 2, "gpu": 1}}
    section = load_config({"tuning": tuning}).tuning
    assert (make_engine(section)._cpus, make_engine(section)._gpus) == (2, 0)
    assert make_engine(section, use_gpu=True)._gpus == 1
