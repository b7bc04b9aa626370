from __future__ import annotations

import pytest

from flexiroaster.engine.quoting import listed, on_one_line, quoted, shortened, without_middle


def test_short_text_is_quoted_whole() -> None:
    assert shortened("a" * 80) == "a" * 80
    assert quoted("it's\n") == '"it\'s\\n"'
    assert on_one_line("a >\n   1") == "a > 1"
    assert without_middle("because") == "because"


def test_long_text_is_cut_to_eighty_characters() -> None:
    assert shortened("a" * 81) == "a" * 79 + "…"
    assert len(quoted("a" * 5_000)) == 82
    assert len(on_one_line("a\n" * 5_000)) == 80


def test_the_end_of_a_sentence_stays() -> None:
    cut = without_middle(f'"{"x" * 5_000}" is not of type "integer"')
    assert cut.startswith('"xxx') and cut.endswith('is not of type "integer"')
    assert len(cut) < 250


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), (["a"], "a"), (["a", "b", "c"], "a, b or c"), ([f"n{n}" for n in range(1_030)], "n19 and 1,010 more")],
)
def test_names_are_listed_up_to_twenty(names: list[str], text: str) -> None:
    assert listed(names, " or ").endswith(text)
