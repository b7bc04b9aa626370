from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[4] / "docs" / "how-to" / "speed-up-a-pipeline.md"


def test_the_code_that_is_shown_prints_what_is_shown() -> None:
    text = PAGE.read_text()
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, PAGE.name, "exec"), names)  # the page's own text
    shown = " ".join(line.strip() for line in text.splitlines() if line.startswith("    ") and line[4] != " ")
    for suggestion in names["suggestions"]:  # type: ignore[attr-defined]
        assert suggestion.text in shown
