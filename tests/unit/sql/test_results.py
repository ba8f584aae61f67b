"""A result in the hands of the libraries that people read it with."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pandas
import polars
import pytest
from tests.lake_setup import TABLE, Shop

from penstock.sql.results import Result

BIG = "12345678901234567890123456789.123456789"  # 38 digits.


@pytest.fixture
def result(tmp_path: Path) -> Result:
    shop = Shop(tmp_path)
    shop.put("c1", 1, amount={"N": BIG}, tags={"SS": ["a"]}, flag={"BOOL": True}, blob={"B": "AP8="})
    shop.put("c2", 2)
    shop.pass_time()
    shop.drain(shop.sink())
    return shop.lake.sql(f"SELECT customer, amount, tags, flag, blob FROM current.{TABLE} ORDER BY 1")


# Why: a number that became a double on the way to a data frame would be wrong without a word.
def test_pandas_gets_exact_numbers(result: Result) -> None:
    frame = result.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["customer"]) == ["c1", "c2"]
    assert frame["amount"][0] == Decimal(BIG)
    assert frame["amount"].isna().tolist() == [False, True]
    assert (list(frame["tags"][0]), frame["blob"][0]) == (["a"], b"\x00\xff")


# Why: the same for polars.
def test_polars_gets_exact_numbers(result: Result) -> None:
    frame = result.to_polars()
    assert isinstance(frame, polars.DataFrame)
    assert frame["amount"].to_list() == [Decimal(BIG), None]
    assert frame["tags"].to_list() == [["a"], None]
    assert frame["flag"].to_list() == [True, None]
