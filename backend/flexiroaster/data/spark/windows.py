"""Window functions over the table's own order: Spark knows none, so it is written out."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

_BY_POSITION = (exp.RowNumber, exp.Ntile, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.NthValue)
_OF_FRAME = (exp.FirstValue, exp.LastValue, exp.NthValue)
_RANKS = (exp.Rank, exp.DenseRank, exp.PercentRank, exp.CumeDist)
_WITHOUT_FRAME = (*_RANKS, exp.RowNumber, exp.Ntile, exp.Lag, exp.Lead)
_WHOLE = exp.WindowSpec(kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end="UNBOUNDED", end_side="FOLLOWING")


def order_windows(query: exp.Expr, order: Sequence[exp.Ordered]) -> None:
    """Add the rows' order to windows whose result depends on it: as their only order, or between equal rows."""
    for window in query.find_all(exp.Window):
        function = _function(window)
        given = window.args.get("order")
        if isinstance(function, _WITHOUT_FRAME):
            window.set("spec", None)
        by_rows = window.args.get("spec") is not None and window.args["spec"].args.get("kind") == "ROWS"
        if given is None and isinstance(function, _RANKS):
            window.set("order", exp.Order(expressions=[exp.Ordered(this=exp.Null(), nulls_first=False)]))
        elif by_rows or isinstance(function, _BY_POSITION):
            if given is None and isinstance(function, _OF_FRAME) and not by_rows:
                window.set("spec", _WHOLE.copy())
            ordered = [item.copy() for item in order] or [exp.Ordered(this=exp.Null(), nulls_first=False)]
            window.set("order", exp.Order(expressions=[*(given.expressions if given is not None else []), *ordered]))


def _function(window: exp.Window) -> exp.Expr:
    function = window.this
    while isinstance(function, exp.IgnoreNulls | exp.RespectNulls | exp.Filter):
        function = function.this
    return function  # type: ignore[no-any-return]
