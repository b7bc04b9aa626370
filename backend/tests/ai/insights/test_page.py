"""The code of the page about what is abnormal runs and prints what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[4] / "docs" / "how-to" / "find-what-is-abnormal.md"


def test_code_of_the_page_prints_what_stands_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    text = PAGE.read_text()
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, names)
    quoted = re.findall(r"((?:^> .*\n)+)", text, re.MULTILINE)
    shown = [" ".join(line.removeprefix("> ") for line in block.splitlines()) for block in quoted]
    assert capsys.readouterr().out.splitlines() == shown
