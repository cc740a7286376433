"""Keys, accounts, and what one account sees of another: nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from .conftest import new_shop
from .harness import Process, Shop, code_of


def test_a_wrong_key_is_401(sandbox: Process) -> None:
    client = stripe.StripeClient("sk_test_wrong", base_addresses={"api": sandbox.base})
    with pytest.raises(stripe.AuthenticationError) as caught:
        client.v1.accounts.retrieve_current()
    assert caught.value.http_status == 401


def test_no_key_is_401(sandbox: Process) -> None:
    assert sandbox.http.get("/v1/account").status_code == 401


def test_an_unknown_account_is_refused(sandbox: Process) -> None:
    with pytest.raises(stripe.PermissionError) as caught:
        sandbox.client().v1.customers.list({}, {"stripe_account": "acct_0000000000000000"})
    assert caught.value.http_status == 403
    assert code_of(caught.value) == "account_invalid"


def test_the_platforms_own_id_is_accepted_as_header(platform: Shop, sandbox: Process) -> None:
    session = platform.open()
    found = sandbox.client().v1.checkout.sessions.retrieve(session.id)
    assert found.id == session.id


def test_the_platform_reads_its_accounts(shop: Shop, sandbox: Process) -> None:
    account = sandbox.client().v1.accounts.retrieve(shop.account)
    assert (account.id, account.charges_enabled) == (shop.account, True)


READS: list[tuple[str, Callable[[Shop, str, str], Any]]] = [
    ("session", lambda shop, session, _: shop.session(session)),
    ("expire", lambda shop, session, _: shop.expire(session)),
    ("capture", lambda shop, _, intent: shop.capture(intent)),
    ("cancel", lambda shop, _, intent: shop.cancel(intent)),
    (
        "intent",
        lambda shop, _, intent: shop.stripe.v1.payment_intents.retrieve(intent, {}, shop.options()),
    ),
]


@pytest.mark.parametrize(("name", "call"), READS, ids=[name for name, _ in READS])
@pytest.mark.parametrize("stranger", ["another account", "the platform"])
def test_objects_of_one_account_are_missing_from_every_other(
    shop: Shop, platform: Shop, name: str, call: Callable[[Shop, str, str], Any], stranger: str
) -> None:
    session = shop.paid()
    other = platform if stranger == "the platform" else new_shop(shop.process)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call(other, session.id, session.payment_intent)
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")
    assert shop.intent(session.id).status == "requires_capture"


def test_lists_show_the_own_account_only(shop: Shop) -> None:
    other = new_shop(shop.process)
    shop.paid()
    assert other.stripe.v1.checkout.sessions.list({}, other.options()).data == []
    assert other.stripe.v1.payment_intents.list({}, other.options()).data == []
    assert other.stripe.v1.charges.list({}, other.options()).data == []
    assert other.event_types() == []
