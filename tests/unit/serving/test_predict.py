"""Predictions over HTTP: what is answered, what is refused, and what stays on record."""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from tests.shop import Shop, storefront

from penstock import App
from penstock.serving.inference_log import RequestIds


@pytest.fixture(scope="module")
def shop() -> Shop:
    shop = Shop()
    shop.buy("c1", "p1", "19.99", days_ago=1, category="jewelry")
    shop.buy("c1", "p2", "80.01", days_ago=10)
    shop.buy("c1", "p3", "500", days_ago=31, category="jewelry")
    shop.add_model()
    return shop


# Why: the first promise of the product, end to end: features from the index, a model, an answer, a row.
def test_a_prediction_goes_out_and_its_row_is_in_the_table(shop: Shop) -> None:
    answer = shop.ask("GET", "/predict/will_buy/customer/c1")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["features"] == {
        "total_purchase_volume_30d": 100.0,
        "purchases_7d": 1,
        "days_since_last": 1.0,
        "jewelry_share_90d": float(519.99 / 600),
    }
    assert body["prediction"] in (0, 1)
    assert 0 < body["probability"] < 1
    assert body["modelVersion"] == "1"
    [row] = [row for row in shop.log_rows() if row["requestId"]["S"] == body["requestId"]]
    assert {name: next(iter(row[name])) for name in ("timestamp", "modelName", "inputData", "prediction", "latencyMs")} == {
        "timestamp": "S", "modelName": "S", "inputData": "S", "prediction": "S", "latencyMs": "N"
    }  # fmt: skip
    assert json.loads(row["inputData"]["S"]) == body["features"]
    assert row["prediction"]["S"] == str(body["prediction"])
    assert row["entity"]["S"] == "c1"
    assert int(row["streamPosition"]["S"]) > 0


# Why: a new customer is no error, but the caller has to know that nothing was known.
def test_an_unknown_customer_gets_a_prediction_that_says_so(shop: Shop) -> None:
    body = shop.ask("GET", "/predict/will_buy/customer/nobody").json()
    assert body["features"]["purchases_7d"] == 0
    assert body["features"]["days_since_last"] is None
    assert "no events" in body["note"]


# Why: each refusal has the code that HTTP has for it.
@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/predict/nope/customer/c1", 404, "UnknownPredictor"),
        ("/predict/will_buy/product/c1", 404, "UnknownEntity"),
        ("/predict/will_buy/customer/" + "x" * 2049, 400, "BadRequest"),
        ("/predict/will_buy/customer/c1?colour=red", 400, "BadRequest"),
        ("/predict/will_buy/customer/c1?at=yesterday", 400, "BadRequest"),
    ],
)
def test_a_refusal_says_what_is_wrong(shop: Shop, path: str, status: int, code: str) -> None:
    answer = shop.ask("GET", path)
    assert answer.status_code == status
    assert answer.json()["error"] == code


# Why: a predictor without a model is not the caller's mistake.
def test_a_model_that_is_not_there_is_service_unavailable() -> None:
    answer = Shop().ask("GET", "/predict/will_buy/customer/c1")
    assert answer.status_code == 503
    assert "penstock models" in answer.json()["message"]


# Why: a retry must not be a second inference.
def test_the_same_request_id_gets_the_first_answer(shop: Shop) -> None:
    headers = {"X-Request-Id": "mine"}
    first = shop.ask("GET", "/predict/will_buy/customer/c1", headers=headers).json()
    shop.buy("c1", "p4", "5", days_ago=0.5)
    again = shop.ask("GET", "/predict/will_buy/customer/c1", headers=headers).json()
    assert again == first
    assert shop.ask("GET", "/predict/will_buy/customer/c1").json()["features"] != first["features"]


# Why: an id that means two questions would make the log lie about one of them.
def test_the_same_request_id_for_another_question_is_refused(shop: Shop) -> None:
    headers = {"X-Request-Id": "twice"}
    shop.ask("GET", "/predict/will_buy/customer/c1", headers=headers)
    answer = shop.ask("GET", "/predict/will_buy/customer/c2", headers=headers)
    assert answer.status_code == 409


# Why: a log that grows for ever is a leak; the application says how long a row lives, and the row says when it goes.
def test_rows_of_the_log_expire_when_the_application_says() -> None:
    app = storefront()
    app.inferences_kept_s = App("shop", inferences_kept="90d").inferences_kept_s
    shop = Shop(app)
    shop.add_model()
    assert shop.ask("GET", "/predict/will_buy/customer/c1").status_code == 200
    [row] = shop.log_rows()
    assert int(row["expiresAt"]["N"]) == shop.now_us // 1_000_000 + 90 * 86_400


# Why: an id that comes twice is a prediction that is not on record: L1 refuses its row.
def test_request_ids_are_random_uuids_over_many_refills() -> None:
    ids = RequestIds()
    found = [ids.fresh() for _ in range(2000)]
    assert len(set(found)) == 2000
    read = [uuid.UUID(each) for each in found]
    assert {each.version for each in read} == {4}
    assert {each.variant for each in read} == {uuid.RFC_4122}
    assert [str(each) for each in read] == found


# Why: a retry returns the first answer, and with it what was said of a customer of whom nothing is known.
def test_a_retry_says_again_that_nothing_was_known(shop: Shop) -> None:
    asked = ("GET", "/predict/will_buy/customer/nobody", {"headers": {"X-Request-Id": "again"}})
    first, second = (answer.json() for answer in shop.ask_all([asked, asked]))
    assert "no events" in first["note"]
    assert first == second


# Why: ids are the caller's: whatever DynamoDB keeps as a key can be asked about, as a path says it.
@pytest.mark.parametrize("customer", ["a/b", "é ü", "100%", "%2F", "a+b", "x?y#z", "a\nb", "/"])
def test_an_id_may_hold_anything(customer: str) -> None:
    shop = Shop()
    shop.add_model()
    shop.buy(customer, "p1", "12.5", days_ago=1, category=customer)
    quoted = quote(customer, safe="")
    for method in ("GET", "POST"):
        answer = shop.ask(method, f"/predict/will_buy/customer/{quoted}").json()
        assert answer["features"]["total_purchase_volume_30d"] == 12.5
    lines = shop.ask("POST", f"/predict/will_buy/category/{quoted}").text.splitlines()
    assert [orjson.loads(line).get("customer") for line in lines] == [customer, None]


# Why: an answer about somebody else than was meant is worse than none; so are answers made of what is no number.
@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("GET", "/predict/will_buy/customer/%ff%fe", {}),
        ("POST", "/predict/will_buy/customer/%ed%a0%80", {}),
        ("POST", "/predict/will_buy/category/%ff", {}),
        ("GET", "/predict/will_buy/customer/c1", {"headers": {"X-Request-Id": "é".encode()}}),
        ("POST", "/predict/will_buy/category/jewelry", {"json": {"after": ""}}),
        ("POST", "/predict/will_buy/category/jewelry", {"json": {"after": "x" * 3000}}),
        ("POST", "/predict/will_buy/category/jewelry", {"json": {"colour": 1}}),
    ],
)
def test_what_cannot_be_meant_is_refused(method: str, path: str, more: dict[str, Any]) -> None:
    shop = Shop()
    shop.add_model()
    answer = shop.ask(method, path, **more)
    assert (answer.status_code, answer.json()["error"]) == (400, "BadRequest")


# Why: a slash that is not escaped ends a part of the path, so this is another path. Whoever mistook it reads the one shape
# that errors have, and where a prediction is.
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/predict/will_buy/customer/a/b"),
        ("POST", "/predict/will_buy/customer/a/b"),
        ("GET", "/predict/will_buy"),
        ("DELETE", "/predict"),
        ("GET", "/nowhere%20at%2Fall"),
    ],
)
def test_a_path_that_nothing_serves_is_not_found(method: str, path: str) -> None:
    answer = Shop().ask(method, path)
    assert (answer.status_code, answer.json()["error"]) == (404, "NotFound")
    assert answer.json()["message"].startswith(f"nothing answers {method} {path}; ")
    assert "GET /predict/will_buy/customer/ID" in answer.json()["message"]


# Why: two routes share the path of a prediction, and the framework named the methods of the first alone.
@pytest.mark.parametrize("path", ["/predict/will_buy/customer/c1", "/predict/will_buy/customer/a%2Fb"])
def test_a_wrong_method_is_told_the_right_ones(path: str) -> None:
    answer = Shop().ask("DELETE", path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert answer.json() == {
        "error": "MethodNotAllowed",
        "message": f"{path} is asked with GET or POST, not DELETE",
    }


# Why: a row of the log holds what was asked, and an item 400 KB. Who asks for more is told so: 503 says to ask again.
def test_a_question_that_no_row_of_the_log_holds_is_too_large() -> None:
    shop = Shop()
    shop.add_model()
    features = dict.fromkeys(shop.app.feature_sets["buyer"].features, 1.0)
    asked = {"features": {**features, "note": "y" * 450_000}}
    answer = shop.ask("POST", "/endpoints/will_buy/invocations", json=asked)
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (413, "ValidationError")
    assert "400 KB" in answer.json()["Message"]


# Why: "nan" as text makes a number that no comparison holds for: predictions of it came out as nan.
def test_text_like_nan_is_a_missing_value_and_infinity_none() -> None:
    shop = Shop()
    shop.add_model()
    headers = {"content-type": "text/csv"}
    path = "/endpoints/will_buy/invocations"
    missing = shop.ask("POST", path, content=b"1,2,,0.5\n1,2,nan,0.5\n", headers=headers).text.splitlines()
    assert missing[0] == missing[1]
    assert "nan" not in missing[0]
    assert shop.ask("POST", path, content=b"1,2,inf,0.5", headers=headers).status_code == 424
