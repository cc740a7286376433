"""``expand[]``: ids replaced by the objects they stand for."""

from __future__ import annotations

from .errors import invalid
from .objects import listing
from .store import Obj, Store

_EXPANDABLE = {
    "checkout.session": ("payment_intent", "customer", "line_items"),
    "payment_intent": ("latest_charge", "payment_method", "customer"),
    "charge": (
        "payment_intent",
        "customer",
        "balance_transaction",
        "application_fee",
        "refunds",
        "transfer",
    ),
    "refund": ("charge", "payment_intent", "balance_transaction", "failure_balance_transaction"),
    "dispute": ("charge", "payment_intent"),
    "application_fee": ("account", "charge"),
    "balance_transaction": ("source",),
    "payment_method": ("customer",),
}
_DEEPEST = 4


def expand(store: Store, obj: Obj, paths: list[str]) -> Obj:
    """``obj`` with every path of ``paths`` filled in; on lists paths start with ``data``."""
    for path in paths:
        steps = path.split(".")
        if len(steps) > _DEEPEST:
            raise invalid(f"At most {_DEEPEST} levels can be expanded: {path}.", "expand")
        _fill(store, obj, steps, path)
    return obj


def _fill(store: Store, obj: Obj, steps: list[str], path: str) -> None:
    name, rest = steps[0], steps[1:]
    if obj.get("object") == "list" and name == "data":
        for entry in obj["data"]:
            if rest:
                _fill(store, entry, rest, path)
        return
    if name not in _EXPANDABLE.get(str(obj.get("object")), ()):
        raise invalid(f"This property cannot be expanded ({path}).", "expand")
    if name in _LISTS:
        obj[name] = _LISTS[name](store, obj)
    elif isinstance(obj.get(name), str):
        obj[name] = store.get(obj[name])
    if rest and isinstance(obj.get(name), dict):
        _fill(store, obj[name], rest, path)


def line_items(store: Store, session: Obj) -> Obj:
    """A session's lines as the list they are shown as."""
    lines = store.private(session["id"])["lines"]
    return listing(f"/v1/checkout/sessions/{session['id']}/line_items", lines)


def _refunds(store: Store, charge: Obj) -> Obj:
    found = store.select("kind = 'refund' AND json_extract(data, '$.charge') = ?", charge["id"])
    return listing(f"/v1/charges/{charge['id']}/refunds", found)


_LISTS = {"line_items": line_items, "refunds": _refunds}
