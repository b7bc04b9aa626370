from __future__ import annotations

from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from flexiroaster.stages import reference
from flexiroaster.stages.base import StageExample, StageType
from flexiroaster.stages.registry import BUILT_IN, StageRegistry

TYPES = StageRegistry().types()
EXAMPLES = [
    pytest.param(type, example, id=f"{name}: {example.title}")
    for name, type in TYPES.items()
    for example in type.examples
]


def test_every_built_in_type_can_be_loaded() -> None:
    registry = StageRegistry()
    assert registry.types().keys() == BUILT_IN.keys()
    assert registry.problems() == ()


def test_pages_in_the_repository_are_in_step_with_the_code() -> None:
    assert reference.out_of_step(reference.pages(TYPES), reference.FOLDER) == [], "run `make generate`"


@pytest.mark.parametrize(("type", "example"), EXAMPLES)
def test_example_fits_its_schema(type: StageType, example: StageExample) -> None:
    jsonschema_rs.validator_for(type.schema).validate(example.config)


@pytest.mark.parametrize("name", TYPES)
def test_type_says_what_it_is(name: str) -> None:
    type = TYPES[name]
    assert type.summary.endswith(".")
    assert len(type.summary) <= 80
    assert type.description
    assert type.examples
    undescribed = [key for key, value in type.schema.get("properties", {}).items() if not value.get("description")]
    assert [key for key in undescribed if "$ref" not in type.schema["properties"][key]] == []


@pytest.mark.parametrize("name", TYPES)
def test_defaults_fit_their_own_schema(name: str) -> None:
    schema = TYPES[name].schema
    for key, value in schema.get("properties", {}).items():
        if value.get("default") is not None:
            whole = {"$defs": schema.get("$defs", {}), "properties": {key: value}}
            jsonschema_rs.validator_for(whole).validate({key: value["default"]})


@pytest.mark.parametrize("name", TYPES)
def test_page_holds_every_setting_and_its_examples_are_yaml(name: str) -> None:
    type = TYPES[name]
    page = reference.page(type)
    assert page.startswith(f"# `{name}`\n")
    for setting in type.schema.get("properties", {}):
        assert f"| `{setting}` |" in page
    blocks = page.split("```yaml\n")[1:]
    assert [yaml.safe_load(block.partition("```")[0])[0].get("config", {}) for block in blocks] == [
        example.config for example in type.examples
    ]


def test_links_of_a_page_lead_to_its_headings() -> None:
    for name, type in TYPES.items():
        page = reference.page(type)
        for link in page.split("](#")[1:]:
            heading = link.partition(")")[0]
            assert f"\n### {heading}\n" in page.lower(), f"{name}: {heading}"


def test_check_tells_what_is_not_in_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reference.main([str(tmp_path)]) == 0
    assert reference.main([str(tmp_path), "--check"]) == 0
    (tmp_path / "wait.md").write_text("old")
    (tmp_path / "gone.md").write_text("of a type that is no more")
    assert reference.main([str(tmp_path), "--check"]) == 1
    told = capsys.readouterr().err
    assert "wait.md is not in step with the code." in told
    assert "gone.md is not in step" in told
    assert reference.main([str(tmp_path)]) == 0
    assert not (tmp_path / "gone.md").exists()
    assert reference.main([str(tmp_path), "--check"]) == 0
