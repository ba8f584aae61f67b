"""Numbers as canonical text, as exact decimals and as bytes in order.

N1. Canonical text is what DynamoDB answers: plain digits, no exponent, no plus sign, no zeros that say
    nothing, and 0 for every zero. Equal numbers are equal text.
N2. A number has at most 38 significant digits and a magnitude of 1E-130 to 9.99…E+125.
N3. a < b exactly when order_key(a) < order_key(b), and no order key is a prefix of another, so that they
    can be joined.
N4. Arithmetic is exact. A result that breaks N2 is an error, never rounded.

An order key is a sign byte (0x01 below zero, 0x02 zero, 0x03 above), one byte of exponent, and the digits as
nibbles, each one higher than the digit so that nibble 0 can end them. Below zero every nibble after the sign
is complemented. Where the end falls on a whole byte, a byte of end follows.
"""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, InvalidOperation

from penstock.errors import ServiceError, validation
from penstock.limits import NUMBER_DIGITS_MAX

EXPONENT_MAX = 125
EXPONENT_MIN = -130

# Nearly every number that a request carries is canonical already: at most 19 digits before and 18 after the
# point, so that 38 is never passed.
_is_plain = re.compile(r"(?:-?[1-9][0-9]{0,18}(?:\.[0-9]{0,17}[1-9])?|-?0\.[0-9]{0,17}[1-9]|0)").fullmatch
_parts = re.compile(r"[+-]?(?=\.?[0-9])[0-9]*(?:\.[0-9]*)?(?:[eE]([+-]?[0-9]+))?").fullmatch

_JAVA_EXPONENT_MAX = 2**31 - 1

# 38 digits at either end of the range are 256 places apart; one more for the carry, and some air.
_EXACT = Context(prec=300, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact, InvalidOperation])


def canonical(text: str) -> str:
    """The canonical text of a number as a client wrote it, or AWS's error."""
    if _is_plain(text):
        return text
    return _canonical_slowly(text)


def _canonical_slowly(text: str) -> str:
    if text == "":
        raise validation("The parameter cannot be converted to a numeric value")
    found = _parts(text)
    # AWS parses as Java's BigDecimal does: an exponent beyond 32 bits is no number at all.
    if found is None or _exponent_beyond_java(found[1]):
        raise validation(f"The parameter cannot be converted to a numeric value: {text}")
    return text_of(Decimal(text))


def _exponent_beyond_java(exponent: str | None) -> bool:
    if exponent is None:
        return False
    digits = exponent.lstrip("+-").lstrip("0")
    return len(digits) > 10 or int(digits or "0") > _JAVA_EXPONENT_MAX


def text_of(value: Decimal) -> str:
    """The canonical text of an exact decimal, or AWS's error where it is out of range or too precise."""
    # The exponent counts for zeros too: AWS takes 0.0e126 but rejects 0e126.
    exponent = value.adjusted()
    if exponent > EXPONENT_MAX:
        raise overflow()
    if exponent < EXPONENT_MIN:
        raise underflow()
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if len(text) > NUMBER_DIGITS_MAX and _significant_digits(text) > NUMBER_DIGITS_MAX:
        raise too_precise()
    return "0" if text == "-0" else text


def _significant_digits(text: str) -> int:
    return len(text.lstrip("-").replace(".", "").strip("0"))


def overflow() -> ServiceError:
    return validation(
        "Number overflow. Attempting to store a number with magnitude larger than supported range"
    )


def underflow() -> ServiceError:
    return validation(
        "Number underflow. Attempting to store a number with magnitude smaller than supported range"
    )


def too_precise() -> ServiceError:
    return validation("Attempting to store more than 38 significant digits in a Number")


def add(left: str, right: str) -> str:
    """left + right of canonical numbers, exact."""
    return text_of(_EXACT.add(Decimal(left), Decimal(right)))


def subtract(left: str, right: str) -> str:
    """left - right of canonical numbers, exact."""
    return text_of(_EXACT.subtract(Decimal(left), Decimal(right)))


def size(text: str) -> int:
    """What AWS counts for canonical text: a byte for each two digits, one more, and one for a minus sign.

    "approximately (1 byte per two significant digits) + (1 byte)": developerguide/CapacityUnitCalculations.
    Digits are paired at the point, so that 100 is one pair and 1.5 is two; 21 bytes is the most.
    """
    if text == "0":
        return 1
    below = text[0] == "-"
    whole, _, fraction = (text[1:] if below else text).partition(".")
    pairs = (len(fraction) + 1) // 2
    if not fraction:
        pairs = (len(whole) + 1) // 2 - (len(whole) - len(whole.rstrip("0"))) // 2
    elif whole == "0":
        pairs -= (len(fraction) - len(fraction.lstrip("0"))) // 2
    else:
        pairs += (len(whole) + 1) // 2
    return min(pairs + 1 + below, 21)


SMALL_SIZES = {str(each): size(str(each)) for each in range(1000)}  # Canonical and measured by one look.
_ABOVE = [bytes((3, exponent - EXPONENT_MIN)) for exponent in range(EXPONENT_MIN, EXPONENT_MAX + 1)]
_BELOW = [bytes((1, EXPONENT_MAX - exponent)) for exponent in range(EXPONENT_MIN, EXPONENT_MAX + 1)]
_ZERO = b"\x02"
_NIBBLES_ABOVE = str.maketrans("0123456789", "123456789a")
_NIBBLES_BELOW = str.maketrans("0123456789", "edcba98765")
_DIGITS_ABOVE = str.maketrans("123456789a", "0123456789")
_DIGITS_BELOW = str.maketrans("edcba98765", "0123456789")


def order_key(text: str) -> bytes:
    """Canonical text as bytes in numeric order: see N3 and the format above."""
    if text == "0":
        return _ZERO
    below = text[0] == "-"
    whole, _, fraction = (text[1:] if below else text).partition(".")
    if whole == "0":
        digits = fraction.lstrip("0")
        exponent = len(digits) - len(fraction) - 1
    else:
        digits = whole + fraction if fraction else whole.rstrip("0")
        exponent = len(whole) - 1
    if below:
        end = "f" if len(digits) & 1 else "ff"
        return _BELOW[exponent - EXPONENT_MIN] + bytes.fromhex(digits.translate(_NIBBLES_BELOW) + end)
    end = "0" if len(digits) & 1 else "00"
    return _ABOVE[exponent - EXPONENT_MIN] + bytes.fromhex(digits.translate(_NIBBLES_ABOVE) + end)


def from_order_key(key: bytes) -> str:
    """The canonical text that `order_key` was given."""
    if key == _ZERO:
        return "0"
    if key[0] == 3:
        digits = key[2:].hex().rstrip("0").translate(_DIGITS_ABOVE)
        return _place_point(digits, key[1] + EXPONENT_MIN)
    digits = key[2:].hex().rstrip("f").translate(_DIGITS_BELOW)
    return "-" + _place_point(digits, EXPONENT_MAX - key[1])


def _place_point(digits: str, exponent: int) -> str:
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    whole = exponent + 1
    if len(digits) <= whole:
        return digits + "0" * (whole - len(digits))
    return f"{digits[:whole]}.{digits[whole:]}"
