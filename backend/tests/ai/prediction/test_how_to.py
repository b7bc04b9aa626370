from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[4] / "docs" / "how-to" / "predict-runs.md"


def test_the_code_that_is_shown_runs() -> None:
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(block, PAGE.name, "exec"), names)  # the page's own text
    assert "30 of 500 runs" in names["answer"].failure.words  # type: ignore[attr-defined]
    assert names["entries"] == []
