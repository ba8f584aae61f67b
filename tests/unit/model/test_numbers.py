"""Numbers at the door: what AWS takes, what it answers, and its errors word for word."""

from __future__ import annotations

from decimal import Decimal

import pytest

from penstock.errors import ServiceError
from penstock.model import numbers

OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
TOO_PRECISE = "Attempting to store more than 38 significant digits in a Number"
NOT_A_NUMBER = "The parameter cannot be converted to a numeric value"


# Equal numbers must be equal text, because stored bytes are compared and answered as they are.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("0.0", "0"),
        ("-0.00e5", "0"),
        ("00042", "42"),
        ("+7", "7"),
        ("-7", "-7"),
        ("1.0", "1"),
        ("3.1400", "3.14"),
        ("1.5E2", "150"),
        ("1e2", "100"),
        (".5", "0.5"),
        ("5.", "5"),
        ("-0.50", "-0.5"),
        ("1e-3", "0.001"),
        ("100", "100"),
        ("0.0e126", "0"),
        ("1E-130", "0." + "0" * 129 + "1"),
        ("9.9999999999999999999999999999999999999E+125", "9" * 38 + "0" * 88),
        ("-9.9999999999999999999999999999999999999E+125", "-" + "9" * 38 + "0" * 88),
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ("0" * 50 + "1" + "0" * 60, "1" + "0" * 60),
        ("0.00000000000000000000000000000000000001", "0.00000000000000000000000000000000000001"),
    ],
)
def test_a_number_is_answered_in_plain_digits(text: str, expected: str) -> None:
    assert numbers.canonical(text) == expected
    assert numbers.canonical(expected) == expected


# The texts are AWS's; clients match on them.
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", NOT_A_NUMBER),
        ("abc", f"{NOT_A_NUMBER}: abc"),
        (" 1", f"{NOT_A_NUMBER}:  1"),
        ("1\n", f"{NOT_A_NUMBER}: 1\n"),
        (".", f"{NOT_A_NUMBER}: ."),
        ("-", f"{NOT_A_NUMBER}: -"),
        ("1e", f"{NOT_A_NUMBER}: 1e"),
        ("1_000", f"{NOT_A_NUMBER}: 1_000"),
        ("NaN", f"{NOT_A_NUMBER}: NaN"),
        ("Infinity", f"{NOT_A_NUMBER}: Infinity"),
        ("0x10", f"{NOT_A_NUMBER}: 0x10"),
        ("١٢", f"{NOT_A_NUMBER}: ١٢"),
        ("1e99999999999", f"{NOT_A_NUMBER}: 1e99999999999"),
        ("1E+126", OVERFLOW),
        ("-1E+126", OVERFLOW),
        ("1e2147483647", OVERFLOW),
        ("0e126", OVERFLOW),
        ("1E-131", UNDERFLOW),
        ("-1e-2147483647", UNDERFLOW),
        ("123456789012345678901234567890123456789", TOO_PRECISE),
        ("1." + "0" * 37 + "1", TOO_PRECISE),
    ],
)
def test_what_is_no_number_gets_the_words_of_aws(text: str, message: str) -> None:
    with pytest.raises(ServiceError) as caught:
        numbers.canonical(text)
    assert caught.value.code == "ValidationException"
    assert caught.value.message == message


# Counters must not drift: a sum that float64 gets wrong has to come out exact.
def test_sums_and_differences_are_exact() -> None:
    assert numbers.add("0.1", "0.2") == "0.3"
    assert numbers.add("-5", "5") == "0"
    assert numbers.subtract("1", "0.9") == "0.1"
    assert numbers.add("9" * 37, "1") == "1" + "0" * 37
    assert numbers.text_of(Decimal("1.50")) == "1.5"


# N4: a result that does not fit is refused, not rounded, however far apart the operands are.
def test_a_result_out_of_range_or_too_precise_is_refused() -> None:
    largest = "9" * 38 + "0" * 88
    for left, right, message in [
        (largest, largest, OVERFLOW),
        ("1" + "0" * 38, "1", TOO_PRECISE),
        (largest, numbers.canonical("1E-130"), TOO_PRECISE),
    ]:
        with pytest.raises(ServiceError) as caught:
            numbers.add(left, right)
        assert caught.value.message == message


# A decoder that guesses at damaged bytes would hide damage; the exact bytes are pinned as the format on disk.
def test_the_bytes_of_an_order_key_do_not_change() -> None:
    assert numbers.order_key("0") == b"\x02"
    assert numbers.order_key("1") == bytes.fromhex("038220")
    assert numbers.order_key("12") == bytes.fromhex("03832300")
    assert numbers.order_key("-1") == bytes.fromhex("017ddf")
    assert numbers.order_key("-12") == bytes.fromhex("017cdcff")
    assert numbers.order_key("0.05") == bytes.fromhex("038060")


# Paging at 1 MB and the 400 KB limit add these up. Pairs are counted at the point; zeros at either end are free.
@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 1),
        ("5", 2),
        ("100", 2),
        ("10", 2),
        ("1234", 3),
        ("12345", 4),
        ("-5", 3),
        ("1.5", 3),
        ("0.05", 2),
    ],
)
def test_a_number_counts_a_byte_for_two_digits(text: str, size: int) -> None:
    assert numbers.size(text) == size
