"""What is measured on examples that training never saw."""

from beliefmatch.metrics.measurement import Estimate, Measurement, measure_pair
from beliefmatch.metrics.transition import TransitionCurves, TransitionPlan, measure_transition, transition_curves

__all__ = [
    "Estimate",
    "Measurement",
    "TransitionCurves",
    "TransitionPlan",
    "measure_pair",
    "measure_transition",
    "transition_curves",
]
