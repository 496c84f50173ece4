"""Numbers as the report and the terminal write them."""

import math

NOT_MEASURED = "\u2013"
MINUS = "\u2212"


def percent(value: float | None) -> str:
    """Return a share in percent, or a dash where there is none.

    Example:
        >>> percent(0.4567).split()
        ['45.7', '%']
    """
    return NOT_MEASURED if value is None else f"{100 * value:.1f}\u00a0%"


def points(value: float | None) -> str:
    """Return a difference of two shares in percentage points, with its sign.

    Example:
        >>> points(0.267)
        '+26.7'
    """
    if value is None:
        return NOT_MEASURED
    text = f"{100 * value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", MINUS)


def difference(a: float | None, b: float | None) -> float | None:
    """Return a - b, or None where either is missing."""
    return None if a is None or b is None else a - b


def six_decimals(value: float | None) -> str:
    """Return a metric's value as it is compared between runs."""
    return NOT_MEASURED if value is None else f"{value:.6f}"


def duration(seconds: float) -> str:
    """Return a time for people.

    Example:
        >>> [duration(s).split() for s in (41.2, 7260)]
        [['41', 's'], ['2', 'h', '01', 'min']]
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole}\u00a0s"
    if whole < 3600:
        return f"{whole // 60}\u00a0min {whole % 60:02d}\u00a0s"
    return f"{whole // 3600}\u00a0h {whole % 3600 // 60:02d}\u00a0min"


def count(value: int) -> str:
    """Return a whole number with thousands set apart."""
    return f"{value:,}"


def counted(value: int, noun: str) -> str:
    """Return a number with its noun.

    Example:
        >>> counted(1, "panorama"), counted(1200, "panorama")
        ('1 panorama', '1,200 panoramas')
    """
    return f"{count(value)} {noun}{'' if value == 1 else 's'}"


def parameters(value: int) -> str:
    """Return a number of parameters, to three digits.

    Example:
        >>> [parameters(n).split() for n in (940, 12_345, 7_600_000)]
        [['940'], ['12.3', 'k'], ['7.60', 'M']]
    """
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= scale:
            scaled = value / scale
            digits = 2 if scaled < 10 else 1 if scaled < 100 else 0
            return f"{scaled:.{digits}f}\u00a0{unit}"
    return str(value)


def loss(value: float | None) -> str:
    """Return a loss with four decimals; a dash where none was logged, a word where it is not finite."""
    if value is None:
        return NOT_MEASURED
    return f"{value:.4f}" if math.isfinite(value) else "not finite"


def interval(share: float, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of `total` independent trials.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    JASA 22 (1927).

    Example:
        >>> low, high = interval(0.5, 100)
        >>> round(low, 3), round(high, 3)
        (0.404, 0.596)
    """
    if total == 0:
        return 0.0, 1.0
    z = 1.959963984540054
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def margin(a: float, b: float, total: int) -> float:
    """Return the 95 % margin of the difference between two shares of `total` independent trials each.

    Where both answer the same questions the true margin is mostly smaller, so this one errs on the safe side.

    Example:
        >>> round(margin(0.5, 0.5, 100), 3)
        0.139
    """
    return 1.959963984540054 * math.sqrt((a * (1 - a) + b * (1 - b)) / max(1, total))
