"""The control page: what a person can bring about with plain forms."""

from __future__ import annotations

import re

import httpx
import pytest

from .harness import Listener, Process, Shop, paid_later

PAGE = "/_sandbox/control"


def press(process: Process, **fields: str) -> httpx.Response:
    return process.http.post(PAGE, data=fields)


def shown(process: Process) -> str:
    return process.http.get(PAGE).text


def test_the_overview_leads_to_it(sandbox: Process) -> None:
    assert f'href="{PAGE}"' in sandbox.http.get("/_sandbox/").text
    text = shown(sandbox)
    assert text.count("<h1>") == 1
    assert "<script" not in text
    assert "Sandbox — no real money" in text


def test_every_form_has_what_it_needs(shop: Shop, sandbox: Process) -> None:
    shop.captured()
    paid_later(shop)
    forms = re.findall(r"<form.*?</form>", shown(sandbox), re.S)
    assert len(forms) >= 15
    for form in forms:
        assert 'method="post"' in form
        assert 'name="do"' in form
        assert "<button" in form


def test_the_next_payment_is_declined(shop: Shop, sandbox: Process) -> None:
    answer = press(sandbox, do="fault", kind="decline")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{PAGE}?done=1")
    assert 'role="status"' in sandbox.http.get(answer.headers["Location"]).text
    assert "decline: 1 to come" in shown(sandbox)
    session = shop.open()
    assert "declined" in shop.pay(session).text
    assert shop.pay(session).status_code == 303
    assert "Nothing is told to go wrong" in shown(sandbox)


def test_webhooks_come_twice_and_late(
    shop: Shop, sandbox: Process, listener: Listener, endpoints: object
) -> None:
    press(sandbox, do="fault", kind="twice_late", seconds="1", times="1")
    session = shop.open()
    shop.expire(session.id)
    expired = shop.events()[0].created
    hooks = listener.heard(shop.account, "checkout.session.expired", count=2)
    assert {hook.event["id"] for hook in hooks} == {shop.events()[0].id}
    assert min(hook.at for hook in hooks) >= expired + 0.9


def test_a_call_fails_until_the_fault_is_lifted(shop: Shop, sandbox: Process) -> None:
    press(
        sandbox, do="fault", kind="error_500_before", operation="checkout.sessions.create", times=""
    )
    fault = sandbox.http.get("/_sandbox/faults").json()["faults"][0]
    assert (fault["remaining"], fault["match"]) == (None, {"operation": "checkout.sessions.create"})
    press(sandbox, do="lift", id=fault["id"])
    assert shop.open().status == "open"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"kind": "refund_pending", "then": "succeeded", "seconds": "30"}, "pending"),
        ({"kind": "refund_pending", "then": ""}, "pending"),
        ({"kind": "refund_fails"}, "failed"),
    ],
)
def test_the_next_refund(shop: Shop, sandbox: Process, fields: dict[str, str], status: str) -> None:
    press(sandbox, do="fault", **fields)
    assert shop.refund(charge=shop.captured().id).status == status


def test_banks_answer(shop: Shop, sandbox: Process) -> None:
    session = paid_later(shop)
    sandbox.fault("refund_pending", then=None, match={"account": shop.account})
    refund = shop.refund(charge=shop.captured().id)
    text = shown(sandbox)
    assert session.payment_intent in text
    assert refund.id in text
    press(sandbox, do="payments", id=session.payment_intent, outcome="succeed")
    press(sandbox, do="refunds", id=refund.id, status="failed")
    assert shop.session(session.id).payment_status == "paid"
    assert shop.found_refund(refund.id).status == "failed"


def test_a_dispute_is_opened_and_closed(shop: Shop, sandbox: Process) -> None:
    charge = shop.captured()
    assert charge.id in shown(sandbox)
    press(sandbox, do="disputes", charge=charge.id)
    dispute = shop.stripe.v1.disputes.list({"charge": charge.id}, shop.options()).data[0]
    press(sandbox, do="disputes", id=dispute.id, status="won")
    after = shop.stripe.v1.disputes.retrieve(dispute.id, {}, shop.options())
    assert after.status == "won"


def test_an_account_is_switched_off_and_cut_off(shop: Shop, sandbox: Process) -> None:
    press(sandbox, do="accounts", id=shop.account, charges_enabled="false")
    account = shop.stripe.v1.accounts.retrieve(shop.account)
    assert account.charges_enabled is False
    press(sandbox, do="accounts", id=shop.account, authorised="false")
    assert "Connection: turn on" in shown(sandbox)


def test_new_accounts_and_the_clock(own_sandbox: Process) -> None:
    press(own_sandbox, do="accounts", new_accounts="onboarding")
    made = own_sandbox.client().v1.accounts.create({"country": "NZ"})
    assert made.charges_enabled is False
    before = own_sandbox.http.get("/_sandbox/clock").json()["now"]
    press(own_sandbox, do="clock", seconds="3600")
    assert own_sandbox.http.get("/_sandbox/clock").json()["now"] >= before + 3600


@pytest.mark.parametrize(
    "fields",
    [
        {"do": "magic"},
        {"do": "fault", "kind": "earthquake"},
        {"do": "clock", "seconds": "-5"},
        {"do": "refunds", "id": "re_unknown", "status": "failed"},
    ],
)
def test_nonsense_is_refused_on_the_page(sandbox: Process, fields: dict[str, str]) -> None:
    answer = press(sandbox, **fields)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text


def test_another_site_cannot_press_the_buttons(sandbox: Process) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    fields = {"do": "fault", "kind": "decline"}
    assert sandbox.http.post(PAGE, data=fields, headers=headers).status_code == 403
    assert sandbox.http.get("/_sandbox/faults").json() == {"faults": []}
