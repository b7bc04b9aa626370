from __future__ import annotations

from flexiroaster.ai import Run
from flexiroaster.ai.prediction.under_way import UnderWay
from flexiroaster.ai.prediction.window import Window


def test_a_window_keeps_the_newest_of_single_runs() -> None:
    window: Window[int] = Window(10)
    for number in range(25):
        window.add(number, f"e{number}")
    assert window.values() == list(range(15, 25))


def test_a_large_execution_leaves_a_sample_of_all_its_items() -> None:
    window: Window[int] = Window(20)
    for number in range(200):
        window.add(number, "one")
    kept = window.values()
    assert len(kept) == 10
    assert min(kept) < 70
    window.add(999, "two")
    assert len(window) == 11


def test_items_of_one_stage_keep_their_own_notes() -> None:
    notes: UnderWay[str] = UnderWay()
    runs = [Run("e", "p", 1.0, stage="s", input_bytes=float(size)) for size in range(3)]
    assert [notes.put(run, f"note {run.input_bytes}") for run in runs] == [True] * 3
    assert not notes.put(runs[1], "newer")
    assert len(notes) == 3
    assert notes.take(runs[1]) == "newer"
    assert notes.take(Run("e", "p", 5.0, stage="s")) == "note 0.0"
    assert runs[2] in notes
    assert runs[0] not in notes
    assert notes.take(Run("other", "p", 1.0)) is None
