"""Numbers for every input: canonical text is a fixed point, and order keys keep numeric order."""

from __future__ import annotations

from decimal import Context, Decimal

from hypothesis import given
from hypothesis import strategies as st

from penstock.model import numbers

_WIDE = Context(prec=600)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Any number in range, written in any of the ways that a client may choose."""
    digits = draw(st.integers(0, 10 ** draw(st.sampled_from([1, 2, 5, 19, 38])) - 1))
    exponent = draw(st.integers(-130, 125 - len(str(digits)) + 1))
    sign = draw(st.sampled_from(["", "-", "+"]))
    zeros = draw(st.sampled_from(["", "0", "000"]))
    form = draw(st.sampled_from(["f", "e", "E"]))
    body = f"{digits}e{exponent}" if form == "e" else f"{digits}E{exponent:+d}"
    if form == "f":
        body = format(Decimal(body), "f")
    return sign + zeros + body


# N1: the text may change once, and the value never.
@given(texts())
def test_canonical_text_keeps_the_value_and_is_a_fixed_point(text: str) -> None:
    canonical = numbers.canonical(text)
    assert Decimal(canonical) == Decimal(text)
    assert numbers.canonical(canonical) == canonical
    assert "e" not in canonical.lower()
    assert numbers.text_of(Decimal(canonical)) == canonical


# N3, order: sort keys and index keys stand on it.
@given(texts(), texts())
def test_order_keys_order_as_the_numbers_do(left: str, right: str) -> None:
    a, b = numbers.canonical(left), numbers.canonical(right)
    key_a, key_b = numbers.order_key(a), numbers.order_key(b)
    assert (key_a < key_b) == (Decimal(a) < Decimal(b))
    assert (key_a == key_b) == (a == b)
    assert a == b or not (key_a.startswith(key_b) or key_b.startswith(key_a))


# Neighbours far beyond random luck: the same exponent and one more digit, on both sides of zero.
@given(st.integers(1, 10**18), st.integers(0, 10**18), st.integers(-60, 60))
def test_order_keys_tell_close_neighbours_apart(digits: int, more: int, exponent: int) -> None:
    a = numbers.text_of(Decimal(digits).scaleb(exponent, _WIDE))
    b = numbers.text_of(Decimal(f"{digits}{more}").scaleb(exponent - len(str(more)), _WIDE))
    for left, right in [(a, b), ("-" + a, "-" + b)]:
        assert (numbers.order_key(left) < numbers.order_key(right)) == (Decimal(left) < Decimal(right))


# N3, round trip: a key alone must give its attribute back.
@given(texts())
def test_an_order_key_gives_its_number_back(text: str) -> None:
    canonical = numbers.canonical(text)
    assert numbers.from_order_key(numbers.order_key(canonical)) == canonical


# N4, against Python's own integers as a second opinion.
@given(st.integers(-(10**37), 10**37), st.integers(-(10**37), 10**37))
def test_sums_agree_with_whole_numbers(left: int, right: int) -> None:
    assert numbers.add(str(left), str(right)) == str(left + right)
    assert numbers.subtract(str(left), str(right)) == str(left - right)
