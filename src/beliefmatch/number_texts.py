"""Numbers as text, for whatever a user reads."""


def three_digits(value: float) -> str:
    """Return a number of any size in three digits, or in all those before its point: 1,234 and not 1.23e+03."""
    # 999.7 in three digits would be 1e+03.
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"
