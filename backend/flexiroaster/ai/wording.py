"""Numbers as a person reads them."""

from __future__ import annotations

from flexiroaster.ai.runs import DAY, HOUR, MINUTE


def span(seconds: float) -> str:
    """0.04 s, 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    for name, unit, below, less in (("min", MINUTE, HOUR, "s"), ("h", HOUR, DAY, "min"), ("d", DAY, None, "h")):
        if below is None or seconds < below:
            smaller = {"s": 1.0, "min": MINUTE, "h": HOUR}[less]
            whole, rest = divmod(round(seconds / smaller), round(unit / smaller))
            return f"{whole} {name}" + (f" {rest} {less}" if rest else "")
    raise AssertionError("days have no bound")


def share(part: float) -> str:
    """Of a whole: less than 0.1 %, 0.4 %, 12 %."""
    percent = 100 * part
    if 0 < percent < 0.05:
        return "less than 0.1 %"
    return f"{percent:.1f} %" if 0 < percent < 1 else f"{percent:.0f} %"


def count(number: float) -> str:
    """12, 1,250, 3.4 million."""
    if abs(number) >= 1e6:
        return f"{number / 1e6:.3g} million"
    return f"{number:,.0f}" if abs(number) >= 10 or number == round(number) else f"{number:.2g}"


def size(number: float) -> str:
    for name, unit in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return f"{number:.0f} B"
