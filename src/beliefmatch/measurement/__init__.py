"""Measuring networks on examples that training never saw."""

from beliefmatch.measurement.agreement import Measurement, measure_pair
from beliefmatch.measurement.transition import TransitionCurves, TransitionPlan, measure_transition, transition_curves
from beliefmatch.runs.schema.measurement import Estimate

__all__ = [
    "Estimate",
    "Measurement",
    "TransitionCurves",
    "TransitionPlan",
    "measure_pair",
    "measure_transition",
    "transition_curves",
]
