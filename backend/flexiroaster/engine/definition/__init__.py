"""Reading, checking and writing pipeline definitions. What a name needs is loaded when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexiroaster.lazy_names import lazy_names

if TYPE_CHECKING:
    from flexiroaster.engine.definition.fields import Fields
    from flexiroaster.engine.definition.format_schema import json_schema
    from flexiroaster.engine.definition.input_checks import check_inputs, inputs_schema
    from flexiroaster.engine.definition.report import Report, StageTypeView
    from flexiroaster.engine.definition.validator import validate
    from flexiroaster.engine.definition.yaml_writer import to_yaml

__all__ = [
    "Fields",
    "Report",
    "StageTypeView",
    "check_inputs",
    "inputs_schema",
    "json_schema",
    "to_yaml",
    "validate",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Fields": "flexiroaster.engine.definition.fields:Fields",
        "Report": "flexiroaster.engine.definition.report:Report",
        "StageTypeView": "flexiroaster.engine.definition.report:StageTypeView",
        "check_inputs": "flexiroaster.engine.definition.input_checks:check_inputs",
        "inputs_schema": "flexiroaster.engine.definition.input_checks:inputs_schema",
        "json_schema": "flexiroaster.engine.definition.format_schema:json_schema",
        "to_yaml": "flexiroaster.engine.definition.yaml_writer:to_yaml",
        "validate": "flexiroaster.engine.definition.validator:validate",
    },
)
