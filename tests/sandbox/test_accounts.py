"""Connected accounts: onboarding, switches, and the end of the connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from .conftest import new_shop
from .harness import Listener, Process, Shop, code_of

REFRESH, RETURN = "https://shop.test/again", "https://shop.test/done"


@pytest.fixture
def incomplete(own_sandbox: Process) -> Shop:
    """An account that has yet to be onboarded."""
    own_sandbox.tool("accounts", new_accounts="onboarding")
    return new_shop(own_sandbox)


@pytest.fixture
def connect(own_sandbox: Process) -> Iterator[Listener]:
    """A Connect endpoint of the test's own process."""
    listener = Listener()
    url = f"{listener.url}/connect"
    service = own_sandbox.client().v1.webhook_endpoints
    service.create({"url": url, "enabled_events": ["*"], "connect": True})
    yield listener
    listener.close()


def link_for(shop: Shop) -> Any:
    return shop.stripe.v1.account_links.create(
        {
            "account": shop.account,
            "refresh_url": REFRESH,
            "return_url": RETURN,
            "type": "account_onboarding",
        }
    )


def account(shop: Shop) -> Any:
    return shop.stripe.v1.accounts.retrieve(shop.account)


def test_a_new_account_may_have_to_be_onboarded_first(incomplete: Shop) -> None:
    before = account(incomplete)
    assert (before.charges_enabled, before.details_submitted) == (False, False)
    assert before.requirements.currently_due != []
    with pytest.raises(stripe.InvalidRequestError):
        incomplete.open()
    link = link_for(incomplete)
    assert (link.object, link.expires_at - link.created) == ("account_link", 300)
    page = incomplete.process.http.get(link.url)
    assert "Set up" in page.text
    assert "<script" not in page.text
    answer = incomplete.process.http.post(link.url, data={"outcome": "complete"})
    assert (answer.status_code, answer.headers["Location"]) == (303, RETURN)
    after = account(incomplete)
    assert (after.charges_enabled, after.payouts_enabled, after.details_submitted) == (True,) * 3
    assert after.requirements.currently_due == []
    assert incomplete.paid().status == "complete"


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [("without_payouts", (True, False, True)), ("under_review", (False, False, True))],
)
def test_onboarding_can_end_half_way(
    incomplete: Shop, outcome: str, expected: tuple[bool, ...]
) -> None:
    incomplete.process.http.post(link_for(incomplete).url, data={"outcome": outcome})
    after = account(incomplete)
    assert (after.charges_enabled, after.payouts_enabled, after.details_submitted) == expected


def test_leaving_the_page_changes_nothing(incomplete: Shop) -> None:
    answer = incomplete.process.http.post(link_for(incomplete).url, data={"outcome": "leave"})
    assert answer.headers["Location"] == RETURN
    assert account(incomplete).details_submitted is False


def test_a_link_is_for_one_visit_and_for_minutes(incomplete: Shop) -> None:
    http, once = incomplete.process.http, link_for(incomplete).url
    assert http.get(once).status_code == 200
    assert http.get(once).headers["Location"] == REFRESH
    http.post(once, data={"outcome": "complete"})
    assert http.post(once, data={"outcome": "complete"}).headers["Location"] == REFRESH
    late = link_for(incomplete).url
    incomplete.process.advance(301)
    assert http.get(late).headers["Location"] == REFRESH
    assert http.get(f"{late}x").status_code == 404


def test_links_are_for_accounts_that_exist(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        link_for(Shop(shop.process, "acct_unknown"))
    assert caught.value.param == "account"


def test_switches_are_told_to_the_connect_endpoint(own_shop: Shop, connect: Listener) -> None:
    own_shop.process.tool(f"accounts/{own_shop.account}", charges_enabled=False)
    hook = connect.heard(own_shop.account, "account.updated")[0]
    assert hook.event["data"]["object"]["charges_enabled"] is False
    assert hook.event["data"]["previous_attributes"]["charges_enabled"] is True
    with pytest.raises(stripe.InvalidRequestError):
        own_shop.open()
    own_shop.process.tool(f"accounts/{own_shop.account}", charges_enabled=True)
    assert own_shop.open().status == "open"


def test_a_destination_that_cannot_be_paid_is_refused(shop: Shop, platform: Shop) -> None:
    shop.process.tool(f"accounts/{shop.account}", charges_enabled=False)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        platform.open(intent={"transfer_data": {"destination": shop.account}})
    assert caught.value.code == "insufficient_capabilities_for_transfer"


def test_an_account_can_leave_the_platform(own_shop: Shop, connect: Listener) -> None:
    session = own_shop.open()
    path = f"accounts/{own_shop.account}"
    own_shop.process.tool(path, authorised=False)
    hook = connect.heard(own_shop.account, "account.application.deauthorized")[0]
    assert hook.event["data"]["object"]["object"] == "application"
    for call in (lambda: own_shop.session(session.id), lambda: account(own_shop)):
        with pytest.raises(stripe.PermissionError) as caught:
            call()
        assert code_of(caught.value) == "account_invalid"
    own_shop.process.tool(path, authorised=True)
    assert own_shop.session(session.id).status == "open"


def test_switches_that_make_no_sense_are_refused(shop: Shop) -> None:
    path = f"/_sandbox/accounts/{shop.account}"
    for body in ({"charges_enabled": "yes"}, {"colour": True}):
        assert shop.process.http.post(path, json=body).status_code == 400
    assert shop.process.http.post("/_sandbox/accounts", json={}).status_code == 400
