"""Spark's SQL with DuckDB's meaning, as a dialect of sqlglot: `tree.sql(dialect=SparkSql)`. Raises NotInSpark."""

from __future__ import annotations

from typing import Any

from sqlglot import exp
from sqlglot.dialects.spark import Spark
from sqlglot.generators.spark import SparkGenerator

from flexiroaster.data.spark.aggregates import AGGREGATES, AGGREGATES_BY_NAME
from flexiroaster.data.spark.dialect import OPERATORS, NotInSpark, SparkWords
from flexiroaster.data.spark.functions import BY_NAME, FUNCTIONS

_BY_NAME = {**BY_NAME, **AGGREGATES_BY_NAME}


def _named(self: Any, node: exp.Anonymous) -> str:
    found = _BY_NAME.get(node.name.lower())
    if found is None:
        raise NotInSpark(f"the function '{node.name.lower()}'")
    return found(self, node)


class SparkSql(Spark):
    class Generator(SparkWords):
        TRANSFORMS = {  # noqa: RUF012
            **SparkGenerator.TRANSFORMS, **OPERATORS, **FUNCTIONS, **AGGREGATES, exp.Anonymous: _named,
        }  # fmt: skip
