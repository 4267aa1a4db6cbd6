from __future__ import annotations

import subprocess
import sys

import pytest

from fastpanel import models
from fastpanel.errors import DuplicateNameError, ModelError, ParameterError, UnknownNameError
from fastpanel.models._registries import build_guide, build_model, resolve_backend


def test_built_in_names_are_registered(backend):
    assert {"factor_model_v1", "factor_student_t", "test_model"} <= set(
        models.default_model_registry(backend)
    )
    assert {"factor_guide_v1", "mean_field", "test_guide"} <= set(
        models.default_guide_registry(backend)
    )
    assert "factor_prior_init" in models.default_prebuild_registry()


def test_default_back_end_is_pyro():
    assert models.default_model_registry() is models.default_model_registry("pyro")
    assert models.default_model_registry() is not models.default_model_registry("numpyro")


def test_importing_a_module_registers_and_twice_is_an_error():
    def factory(params):
        return lambda batch: None

    assert models.register_model("registered_once")(factory) is factory
    assert models.default_model_registry()["registered_once"] is factory
    with pytest.raises(DuplicateNameError, match="registered_once"):
        models.register_model("registered_once")(factory)


@pytest.mark.parametrize("register", [models.register_model, models.register_guide])
def test_class_without_call_is_rejected_at_registration(register):
    with pytest.raises(ModelError, match=r"'no_call'.*__call__"):

        @register("no_call")
        class NoCall:
            pass


def test_factory_that_returns_no_callable_is_rejected_at_build():
    with pytest.raises(ModelError, match=r"model 'five'.*int"):
        build_model(lambda params: 5, "five", {})


def test_guide_factory_gets_the_model_only_where_it_asks():
    def plain(params):
        return lambda batch: params

    def with_model(params, model):
        return lambda batch: model

    assert build_guide(plain, "g", {"a": 1}, "the model")(None) == {"a": 1}
    assert build_guide(with_model, "g", {}, "the model")(None) == "the model"


def test_unknown_names_list_what_is_there():
    with pytest.raises(UnknownNameError, match="factor_model_v1"):
        models.default_model_registry()["factor_model"]
    with pytest.raises(ParameterError, match=r"'stan'.*'pyro'"):
        models.register_model("x", backend="stan")


def test_metric_scopes_are_separate_and_checked():
    def inner(spec):
        return lambda y_true, pred, score_spec: 1.0

    def outer(spec):
        return lambda y_true, pred, score_spec: 2.0

    models.register_metric("same_name", scope="inner")(inner)
    models.register_metric("same_name", scope="outer")(outer)
    assert models.metric_registry("inner")["same_name"] is inner
    assert models.metric_registry("outer")["same_name"] is outer
    with pytest.raises(ParameterError, match="'middle'"):
        models.register_metric("x", scope="middle")


def test_auto_takes_numpyro_only_where_both_names_exist():
    assert resolve_backend("auto", "factor_model_v1", "mean_field") == "numpyro"
    models.register_model("pyro_only_model")(lambda params: lambda batch: None)
    assert resolve_backend("auto", "pyro_only_model", "mean_field") == "pyro"
    assert resolve_backend("pyro", "factor_model_v1", "mean_field") == "pyro"


def test_complexity_counts_what_the_data_can_move():
    def count(name="factor_model_v1", **params):
        return models.complexity(name, params, 10, 20)

    free = count(num_factors=0, coefficients={"scale": 100.0})
    tight = count(num_factors=0, coefficients={"scale": 0.002})
    assert free - tight == pytest.approx(20, abs=0.5)
    flat = {"loadings": {"scale": 100.0}}
    # K factors of A assets: A K loadings less K (K - 1) / 2 rotations
    assert count(num_factors=3, **flat) - count(num_factors=0) == pytest.approx(27, abs=0.1)
    learned = count("factor_student_t")
    assert learned - count("factor_student_t", likelihood={"df": 5.0}) == pytest.approx(1.0)
    with pytest.raises(UnknownNameError, match="no_such_model"):
        count("no_such_model")


def test_import_loads_no_heavy_library():
    code = (
        "import sys, fastpanel.models; "
        "print(sorted({'torch', 'pyro', 'jax', 'numpyro', 'scipy', 'polars'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("form", ["class with params", "class without", "factory", "function"])
def test_models_may_be_classes_factories_or_functions_of_a_batch(form):
    from fastpanel.models._registries import build_model

    class WithParams:
        def __init__(self, params):
            self.params = params

        def __call__(self, batch):
            return ("called", batch)

    class Without:
        def __call__(self, batch):
            return ("called", batch)

    def factory(params):
        return lambda batch: ("called", batch)

    def function(batch):
        return ("called", batch)

    forms = {
        "class with params": WithParams,
        "class without": Without,
        "factory": factory,
        "function": function,
    }
    assert build_model(forms[form], form, {"a": 1})("week") == ("called", "week")
