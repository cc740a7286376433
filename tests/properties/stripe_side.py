"""What the sandbox knows of one run, asked by Stripe's own API and the sandbox's controls."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from tests.core.raw import sql
from tests.properties.world import World
from tests.support.sandbox import SandboxClient

Obj = dict[str, Any]


@dataclass(frozen=True)
class Books:
    """All there is at Stripe since the run began, on both accounts; `account` is on each object."""

    intents: dict[str, Obj]
    refunds: dict[str, Obj]
    disputes: dict[str, Obj]
    sessions: dict[str, Obj]

    def taken(self, intent: Obj) -> int:
        """What of a payment Stripe has and has not given back or promised to."""
        given = sum(
            r["amount"]
            for r in self.refunds.values()
            if r["payment_intent"] == intent["id"] and r["status"] in {"succeeded", "pending"}
        )
        return int(intent["amount_received"]) - given


def books(sandbox: SandboxClient, world: World) -> Books:
    """Every payment, refund, dispute and session of this run; what nobody's row names, too."""
    found = Books(
        *(
            {each["id"]: each for each in listed(sandbox, world, what)}
            for what in ("payment_intents", "refunds", "disputes", "checkout/sessions")
        )
    )
    others = _others(world)
    for kind in (found.intents, found.sessions):
        for each in [each for each in kind.values() if _due_of(each) in others]:
            del kind[each["id"]]
    for kind in (found.refunds, found.disputes):
        for each in [e for e in kind.values() if e["payment_intent"] not in found.intents]:
            del kind[each["id"]]
    return found


def _others(world: World) -> set[str]:
    """Dues of runs that ended in the second in which this one began."""
    dues = sql(
        "SELECT id FROM payments_due WHERE workspace_id <> ALL(%s)"
        " AND created_at > to_timestamp(%s) - interval '10 min'",
        world.workspace_ids,
        world.began,
    )
    return {str(pk) for (pk,) in dues}


def listed(sandbox: SandboxClient, world: World, what: str, **params: Any) -> Iterator[Obj]:
    """A list of Stripe's, newest first, of both accounts, page by page."""
    for account in ("", world.account):
        headers = {"Stripe-Account": account} if account else {}
        asked = {"limit": 100, "created[gte]": world.began, **params}
        while True:
            answer = sandbox.api("GET", f"/v1/{what}", headers=headers, params=asked)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            for each in page["data"]:
                yield each | {"account": account}
            if not page["has_more"]:
                break
            asked["starting_after"] = page["data"][-1]["id"]


def events(sandbox: SandboxClient, world: World) -> list[Obj]:
    """What has happened in this run, oldest first; the platform's before the account's."""
    found = [
        _without(each, "account" * (not each["account"]))
        for each in listed(sandbox, world, "events")
    ]
    objects = [each["data"]["object"] for each in found]
    ours = _ours(world)
    mine = {_intent_of(each) for each in objects if _due_of(each) in ours} - {None}
    return [
        event
        for event, each in zip(found, objects, strict=True)
        if _due_of(each) in ours or _intent_of(each) in mine
    ][::-1]


def _without(event: Obj, name: str) -> Obj:
    return {key: value for key, value in event.items() if key != name}


def _ours(world: World) -> set[str]:
    """The ids of this world's dues, as our metadata at Stripe names them."""
    dues = sql("SELECT id FROM payments_due WHERE workspace_id = ANY(%s)", world.workspace_ids)
    return {str(pk) for (pk,) in dues}


def _due_of(each: Obj) -> str | None:
    return (each.get("metadata") or {}).get("due")


def _intent_of(each: Obj) -> str | None:
    return each["id"] if each["object"] == "payment_intent" else each.get("payment_intent")


def open_sessions(sandbox: SandboxClient, world: World, index: int) -> list[Obj]:
    """Every page that can be paid for one of the dues that have any, known to us or not."""
    ours, found = _ours(world), listed(sandbox, world, "checkout/sessions", status="open")
    mine = [each for each in found if _due_of(each) in ours]
    wanted = _due_of(mine[index % len(mine)]) if mine else None
    return [each for each in mine if _due_of(each) == wanted]


def processing(sandbox: SandboxClient, world: World) -> list[str]:
    """Payments that a bank has yet to answer, oldest first."""
    ours, found = _ours(world), listed(sandbox, world, "payment_intents")
    waiting = [i["id"] for i in found if i["status"] == "processing" and _due_of(i) in ours]
    return waiting[::-1]


def open_disputes(sandbox: SandboxClient, world: World) -> list[str]:
    """Disputes of this run that have not ended, oldest first."""
    paid = sql(
        "SELECT p.payment_intent_id FROM payments_payment p JOIN payments_due d ON d.id = p.due_id"
        " WHERE d.workspace_id = ANY(%s)",
        world.workspace_ids,
    )
    ours, over = {intent for (intent,) in paid}, {"won", "lost", "warning_closed"}
    found = listed(sandbox, world, "disputes")
    return [d["id"] for d in found if d["payment_intent"] in ours and d["status"] not in over][::-1]


def end_refund(sandbox: SandboxClient, refund_id: str, status: str) -> str:
    """The bank decides about a refund; what the sandbox says of it."""
    return _said(lambda: sandbox.settle_refund(refund_id, status))


def dispute(sandbox: SandboxClient, intent_id: str, status: str) -> str:
    """The cardholder objects, or asks."""
    return _said(lambda: sandbox.dispute(payment_intent=intent_id, status=status))


def end_dispute(sandbox: SandboxClient, dispute_id: str, status: str) -> str:
    return _said(lambda: sandbox.close_dispute(dispute_id, status))


def _said(control: Any) -> str:
    """The object's status, or that the sandbox would not: not everything can be done any time."""
    try:
        return str(control()["status"])
    except httpx.HTTPStatusError as error:
        if error.response.status_code != 400:
            raise
        return "not possible"
