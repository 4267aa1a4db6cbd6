"""Search spaces, the candidate plan that every engine works through, and the engines."""

from fastpanel.tuning._candidates import sample_candidates as sample_candidates
from fastpanel.tuning._config import OptunaSpec as OptunaSpec
from fastpanel.tuning._config import RaySpec as RaySpec
from fastpanel.tuning._config import ResourcesSpec as ResourcesSpec
from fastpanel.tuning._config import TuningConfig as TuningConfig
from fastpanel.tuning._space import ParameterSpec as ParameterSpec
from fastpanel.tuning._space import parse_space as parse_space
from fastpanel.tuning._study import Study as Study
from fastpanel.tuning._study import database_url as database_url
from fastpanel.tuning.engines import Engine as Engine
from fastpanel.tuning.engines import make_engine as make_engine
from fastpanel.tuning.engines import register_engine as register_engine

__all__ = [
    "Engine",
    "OptunaSpec",
    "ParameterSpec",
    "RaySpec",
    "ResourcesSpec",
    "Study",
    "TuningConfig",
    "database_url",
    "make_engine",
    "parse_space",
    "register_engine",
    "sample_candidates",
]
