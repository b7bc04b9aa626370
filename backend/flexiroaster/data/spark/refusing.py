"""What Spark cannot say, in a sentence."""

from __future__ import annotations

from sqlglot import exp

from flexiroaster.data.spark.aggregates import AGGREGATES, AGGREGATES_BY_NAME
from flexiroaster.data.spark.functions import refused
from flexiroaster.engine.errors import StageFailed

_IN_QUERIES: dict[type[exp.Expr], tuple[str, str]] = {
    exp.Explode: ("`unnest` in an expression", "use an `explode` operation"),
    exp.Unnest: ("`unnest` in FROM", "use an `explode` operation"),
    exp.Pivot: ("PIVOT and UNPIVOT in a query", "use a `pivot` or `unpivot` operation"),
    exp.TableSample: ("TABLESAMPLE", "use a `sample` operation"),
    exp.Lateral: ("LATERAL", "use a `join` operation"),
    exp.Columns: ("COLUMNS(…)", "name the columns"),
    exp.WithinGroup: ("WITHIN GROUP", "use quantile_cont(value, share)"),
}


def sentence(where: str, what: str, cure: str = "") -> StageFailed:
    cure = f"{cure}, or " if cure else ""
    return StageFailed(
        f"{where}: with `engine: spark` there is no way to say {what}: {cure}run this stage without `engine: spark`.",
        code="not_in_spark",
        suggestion="Operations and functions that Spark lacks run on DuckDB, in a stage without `engine: spark`.",
    )


def refuse_unsaid(query: exp.Expr, where: str) -> None:
    for node in query.walk():
        if type(node) in _IN_QUERIES:
            raise sentence(where, *_IN_QUERIES[type(node)])
        if isinstance(node, exp.Distinct) and node.args.get("on") is not None:
            raise sentence(where, "DISTINCT ON", "use a `dedupe` operation")
        if isinstance(node, exp.Join) and (node.method or "").upper() in ("ASOF", "POSITIONAL"):
            raise sentence(where, f"{node.method} JOIN", "use a `join` operation")
        if isinstance(node, exp.With) and node.args.get("recursive"):
            raise sentence(where, "a recursive query", "write it without WITH RECURSIVE")
        called = refused(node)
        if called is not None and type(node) not in AGGREGATES and called not in AGGREGATES_BY_NAME:
            raise sentence(where, f"the function '{called}'")
