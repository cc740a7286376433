"""The first answer under a key is the answer."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest
import stripe

from .conftest import new_shop
from .harness import KEY, Process, Shop, code_of


def post(process: Process, path: str, key: str, account: str = "", **form: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": key}
    if account:
        headers["Stripe-Account"] = account
    return process.http.post(path, data=form, headers=headers)


def test_the_first_answer_is_replayed(shop: Shop) -> None:
    first = shop.open(key="order-1")
    shop.pay(first)
    again = shop.open(key="order-1")
    # The body as it was then, not as the session is now.
    assert (again.id, again.status) == (first.id, "open")
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert len(shop.stripe.v1.checkout.sessions.list({}, shop.options()).data) == 1


def test_other_parameters_under_a_used_key_are_an_error(shop: Shop) -> None:
    shop.open(key="order-2")
    with pytest.raises(stripe.IdempotencyError) as caught:
        shop.open(key="order-2", client_reference_id="other")
    assert caught.value.http_status == 400
    assert '"type": "idempotency_error"' in str(caught.value.http_body)


def test_another_url_under_a_used_key_is_an_error(shop: Shop) -> None:
    shop.open(key="order-3")
    answer = post(shop.process, "/v1/customers", "order-3", shop.account)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "idempotency_error")


def test_keys_belong_to_an_account(shop: Shop) -> None:
    other = new_shop(shop.process)
    assert shop.open(key="order-4").id != other.open(key="order-4").id


def test_keys_have_at_most_255_characters(shop: Shop) -> None:
    assert post(shop.process, "/v1/customers", "k" * 255, shop.account).status_code == 200
    assert post(shop.process, "/v1/customers", "k" * 256, shop.account).status_code == 400


def test_validation_failures_are_not_stored(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        shop.open(key="order-5", mode="setup")
    assert shop.open(key="order-5").status == "open"


def test_a_refusal_by_state_is_stored(shop: Shop) -> None:
    session = shop.open()
    shop.pay(session)
    path = f"/v1/checkout/sessions/{session.id}/expire"
    first = post(shop.process, path, "expire-1", shop.account)
    again = post(shop.process, path, "expire-1", shop.account)
    assert (first.status_code, again.status_code) == (400, 400)
    assert first.text == again.text
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(("kind", "effects"), [("error_500_before", 0), ("error_500_after", 1)])
def test_500s_are_stored_whether_or_not_there_was_an_effect(
    shop: Shop, kind: str, effects: int
) -> None:
    match = {"operation": "checkout.sessions.create", "account": shop.account}
    shop.process.fault(kind, match=match)
    for replayed in (False, True):
        with pytest.raises(stripe.APIError) as caught:
            shop.open(key="order-6")
        assert caught.value.http_status == 500
        assert ("Idempotent-Replayed" in (caught.value.headers or {})) is replayed
    assert len(shop.stripe.v1.checkout.sessions.list({}, shop.options()).data) == effects


def test_a_key_in_flight_is_409(shop: Shop) -> None:
    shop.process.fault("hang_before", match={"account": shop.account}, times=1)
    results: list[Any] = []
    slow = threading.Thread(target=lambda: results.append(shop.open(key="order-7")))
    slow.start()
    shop.process.withheld(1)
    with pytest.raises(stripe.APIError) as caught:
        shop.open(key="order-7")
    assert caught.value.http_status == 409
    assert code_of(caught.value) == "idempotency_key_in_use"
    shop.process.clear()
    slow.join()
    assert shop.open(key="order-7").id == results[0].id


def test_many_at_once_make_one_object(shop: Shop) -> None:
    outcomes: list[str] = []

    def attempt() -> None:
        try:
            outcomes.append(shop.open(key="order-8").id)
        except stripe.APIError as error:
            outcomes.append(str(error.http_status))

    threads = [threading.Thread(target=attempt) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sessions = shop.stripe.v1.checkout.sessions.list({}, shop.options()).data
    assert len(sessions) == 1
    assert set(outcomes) <= {sessions[0].id, "409"}
    assert len(outcomes) == 12
