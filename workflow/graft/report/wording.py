"""How the page writes numbers."""

import math
from typing import Any

NO_BREAK = "\N{NO-BREAK SPACE}"


def percent(value: Any) -> str:
    """A fraction as a percentage with one decimal, such as `97.3 %`; – where it is no number."""
    return f"{100 * value:.1f}{NO_BREAK}%" if _is_finite(value) else "–"


def number(value: Any) -> str:
    """A number with the digits that a reader can use: three decimals, or none for a count."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.3f}" if _is_finite(value) else "–" if value is None else str(value)


def counted(n: int, one: str, many: str = "") -> str:
    """A count with what is counted, such as `1 file` or `1,234 files`."""
    return f"{n:,}{NO_BREAK}{one if n == 1 else many or one + 's'}"


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
