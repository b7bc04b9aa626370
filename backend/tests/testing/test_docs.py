"""The page on testing says what is so: its definition, its tests and its Python run as pasted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flexiroaster.testing import cases

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "test-a-pipeline.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tests").mkdir()
    rows = "".join(f"{amount}\n" for amount in [*range(1, 31), -1])
    (tmp_path / "tests" / "orders.csv").write_text(f"amount\n{rows}")
    (tmp_path / "daily_orders.yaml").write_text(block("yaml"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_pages_definition_passes_its_tests(folder: Path) -> None:
    found = cases(folder / "daily_orders.yaml")
    assert len(found) == 3
    for case in found:
        case.check()


def test_the_pages_python_runs(folder: Path) -> None:
    names: dict[str, object] = {}
    exec(compile(block("python"), "test-a-pipeline.md", "exec"), names)
    tests = [value for name, value in names.items() if name.startswith("test_") and name != "test_orders_own_tests"]
    assert len(tests) == 2
    for test in tests:
        assert callable(test)
        test()
