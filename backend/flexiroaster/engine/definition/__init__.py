"""Reading, checking and writing pipeline definitions."""

from __future__ import annotations

from flexiroaster.engine.definition.format_schema import json_schema
from flexiroaster.engine.definition.input_checks import check_inputs, inputs_schema
from flexiroaster.engine.definition.report import Report, StageTypeView
from flexiroaster.engine.definition.validator import validate
from flexiroaster.engine.definition.yaml_writer import to_yaml

__all__ = ["Report", "StageTypeView", "check_inputs", "inputs_schema", "json_schema", "to_yaml", "validate"]
