"""`--data`: a file, standard input, or JSON as it is."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from flexiroaster.cli.start_data import start_data


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "order.json").write_bytes(b'\xef\xbb\xbf{"id": 7}')
    (tmp_path / "7").write_text('"a file called 7"')
    (tmp_path / "broken.json").write_text("{id: 7}")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (None, None),
        ('{"id": 7}', {"id": 7}),
        (" [1, 2]", [1, 2]),
        ('"text"', "text"),
        ("8", 8),
        ("true", True),
        ("null", None),
        ("order.json", {"id": 7}),
        ("./order.json", {"id": 7}),
        ("7", "a file called 7"),
    ],
)
def test_what_is_given_is_read(given: str | None, value: Any) -> None:
    assert start_data(given) == value


def test_a_dash_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b'{"rows": []}')))
    assert start_data("-") == {"rows": []}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("gone.json", "'gone.json' is neither a file nor JSON."),
        ("{id: 7}", "'{id: 7}' is no JSON: "),
        ("broken.json", "broken.json holds no JSON: "),
        ("sub", "sub cannot be read: Is a directory."),
        ("", "'' is neither a file nor JSON."),
        ('["' + "x" * 5_000, "…"),
        ("x" * 5_000, "…"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(given: str, sentence: str) -> None:
    with pytest.raises(typer.BadParameter) as refused:
        start_data(given)
    assert sentence in refused.value.message
    assert len(refused.value.message) < 200
