"""What learns from the history of runs: predictions, insights, suggestions. Plain rows in, findings out.

It knows no database and no server, and can be used alone: give it `Run` rows (or mappings with the same keys). The
numeric libraries come with the extra `ai` (`pip install "flexiroaster[ai]"`); nothing is imported before its first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexiroaster.lazy_names import lazy_names

if TYPE_CHECKING:
    from flexiroaster.ai.insights.budget import Verdict
    from flexiroaster.ai.insights.causes import Cause, likely_causes
    from flexiroaster.ai.insights.clustering import cluster
    from flexiroaster.ai.insights.find import find as find_insights
    from flexiroaster.ai.insights.finding import Insight
    from flexiroaster.ai.insights.levels import slow_runs
    from flexiroaster.ai.insights.maintenance import Window
    from flexiroaster.ai.insights.metric_events import metric_anomalies
    from flexiroaster.ai.insights.metrics import detector
    from flexiroaster.ai.insights.past import Past
    from flexiroaster.ai.insights.signatures import ErrorSeen, Signature, signatures
    from flexiroaster.ai.optimizer.advise import Effect, advise, effect
    from flexiroaster.ai.optimizer.caching import Made
    from flexiroaster.ai.optimizer.order import policy
    from flexiroaster.ai.optimizer.sharing import Scene, sharing
    from flexiroaster.ai.optimizer.suggestion import NotEnough, Suggestion
    from flexiroaster.ai.prediction.predictor import Prediction, Predictor
    from flexiroaster.ai.registry import Entry, ModelRecord, ModelRefused, Registry, load, save
    from flexiroaster.ai.runs import MissingExtra, Run

__all__ = [
    "Cause",
    "Effect",
    "Entry",
    "ErrorSeen",
    "Insight",
    "Made",
    "MissingExtra",
    "ModelRecord",
    "ModelRefused",
    "NotEnough",
    "Past",
    "Prediction",
    "Predictor",
    "Registry",
    "Run",
    "Scene",
    "Signature",
    "Suggestion",
    "Verdict",
    "Window",
    "advise",
    "cluster",
    "detector",
    "effect",
    "find_insights",
    "likely_causes",
    "load",
    "metric_anomalies",
    "policy",
    "save",
    "sharing",
    "signatures",
    "slow_runs",
]

_EXPORTS = {
    "Window": "flexiroaster.ai.insights.maintenance:Window",
    "Verdict": "flexiroaster.ai.insights.budget:Verdict",
    "Cause": "flexiroaster.ai.insights.causes:Cause",
    "likely_causes": "flexiroaster.ai.insights.causes:likely_causes",
    "cluster": "flexiroaster.ai.insights.clustering:cluster",
    "find_insights": "flexiroaster.ai.insights.find:find",
    "Insight": "flexiroaster.ai.insights.finding:Insight",
    "slow_runs": "flexiroaster.ai.insights.levels:slow_runs",
    "detector": "flexiroaster.ai.insights.metrics:detector",
    "metric_anomalies": "flexiroaster.ai.insights.metric_events:metric_anomalies",
    "Past": "flexiroaster.ai.insights.past:Past",
    "ErrorSeen": "flexiroaster.ai.insights.signatures:ErrorSeen",
    "Signature": "flexiroaster.ai.insights.signatures:Signature",
    "signatures": "flexiroaster.ai.insights.signatures:signatures",
    "Effect": "flexiroaster.ai.optimizer.advise:Effect",
    "advise": "flexiroaster.ai.optimizer.advise:advise",
    "effect": "flexiroaster.ai.optimizer.advise:effect",
    "Made": "flexiroaster.ai.optimizer.caching:Made",
    "Scene": "flexiroaster.ai.optimizer.sharing:Scene",
    "sharing": "flexiroaster.ai.optimizer.sharing:sharing",
    "policy": "flexiroaster.ai.optimizer.order:policy",
    "NotEnough": "flexiroaster.ai.optimizer.suggestion:NotEnough",
    "Suggestion": "flexiroaster.ai.optimizer.suggestion:Suggestion",
    "Prediction": "flexiroaster.ai.prediction.predictor:Prediction",
    "Predictor": "flexiroaster.ai.prediction.predictor:Predictor",
    "Entry": "flexiroaster.ai.registry:Entry",
    "ModelRecord": "flexiroaster.ai.registry:ModelRecord",
    "ModelRefused": "flexiroaster.ai.registry:ModelRefused",
    "Registry": "flexiroaster.ai.registry:Registry",
    "load": "flexiroaster.ai.registry:load",
    "save": "flexiroaster.ai.registry:save",
    "MissingExtra": "flexiroaster.ai.runs:MissingExtra",
    "Run": "flexiroaster.ai.runs:Run",
}


__getattr__ = lazy_names(__name__, _EXPORTS)


def __dir__() -> list[str]:
    return sorted(__all__)
