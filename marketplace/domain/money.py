"""Amounts: integers in the smallest unit of a currency (ISO 4217), or in the organisation's own credits."""

from decimal import Decimal, InvalidOperation, Overflow

CREDITS = "credits"
EXPONENTS = {
    CREDITS: 0,
    **dict.fromkeys(
        "AED ARS AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD HUF ILS INR MXN MYR NOK NZD PLN RON SAR SEK SGD THB TRY "
        "TWD UAH USD ZAR".split(),
        2,
    ),
    **dict.fromkeys("CLP ISK JPY KRW VND".split(), 0),
    **dict.fromkeys("BHD JOD KWD OMR TND".split(), 3),
}
"""ISO 4217:2015, table A.1: digits behind the point."""
UNITS = [(unit, "Credits" if unit == CREDITS else unit) for unit in EXPONENTS]
MOST = 10**12  # of any unit: a typing error rather than a price


class WrongAmount(ValueError):
    """The words are no amount of that unit."""


def money_words(amount: int, unit: str) -> str:
    """`12.50 EUR`, `1,200 JPY`, `40 credits`"""
    digits = EXPONENTS[unit]
    return f"{Decimal(amount).scaleb(-digits):,.{digits}f} {unit}"


def money_of(words: str, unit: str) -> int:
    """Minor units, exactly. Raises WrongAmount for more digits than the currency has."""
    digits = EXPONENTS[unit]
    try:
        minor = Decimal(words.strip()).scaleb(digits)
    except (InvalidOperation, Overflow):
        raise WrongAmount("Give a number, as in 12.50.") from None
    if not minor.is_finite() or not 0 <= minor <= MOST:
        raise WrongAmount("Give an amount from 0 up.")
    if minor != minor.to_integral_value():
        raise WrongAmount(f"{unit} has {digits} digits behind the point." if digits else f"{unit} are whole.")
    return int(minor)


def fee_of(amount: int, basis_points: int) -> int:
    """The platform's part, rounded down: the publisher never gets less than the rate says."""
    return amount * basis_points // 10_000
