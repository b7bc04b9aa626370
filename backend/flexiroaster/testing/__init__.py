"""Testing pipelines: run one without a server, with stages mocked and time that passes as fast as it is asked for.

from flexiroaster.testing import run

def test_bad_rows_wait_for_a_person():
    execution = run("orders.yaml", {"day": "2026-01-05"}, mock={"fetch": [{"id": 1, "amount": -3}]})
    assert (execution.status, execution.at) == ("paused", ["review"])
"""

from flexiroaster.testing.cases import Case, cases
from flexiroaster.testing.mocks import in_turn
from flexiroaster.testing.result import Result
from flexiroaster.testing.trial import Trial, run, trial

__all__ = ["Case", "Result", "Trial", "cases", "in_turn", "run", "trial"]
