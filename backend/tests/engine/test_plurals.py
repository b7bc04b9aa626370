from __future__ import annotations

import pytest

from flexiroaster.engine.plurals import counted


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1_234_567, "1,234,567 rows")]
)
def test_only_one_is_singular(number: int, text: str) -> None:
    assert counted(number, "row") == text


def test_a_plural_of_its_own() -> None:
    assert (counted(1, "entry", "entries"), counted(3, "entry", "entries")) == ("1 entry", "3 entries")
