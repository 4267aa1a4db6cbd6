"""Search spaces and the candidate plan that every engine works through."""

from fastpanel.tuning._candidates import sample_candidates as sample_candidates
from fastpanel.tuning._space import ParameterSpec as ParameterSpec
from fastpanel.tuning._space import parse_space as parse_space

__all__ = ["ParameterSpec", "parse_space", "sample_candidates"]
