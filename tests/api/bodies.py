"""For each POST a body that is right, and all that may stand nowhere in it."""

from typing import Any

from bookings.models import Resource
from config.api import rfc3339
from tests.api.routes import operations
from tests.factories import at

POSTS = {operation.name: operation for operation in operations() if operation.method == "post"}
NOTHING: Any = object()

UUID_ = ["nonsense", 7, "", "\x00" * 36, "\ud800", ["x"], {"id": 1}, True]
MOMENT = [
    "", "now", 1893456000, "2030-01-01", "2030-01-01T10:00:00", "2030-02-30T10:00:00Z",
    "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00",
    "2030-01-01T10:00:00+99:99", "2030-01-01T10:00:00Z\x00", ["2030-01-01T10:00:00Z"], {}, True,
]  # fmt: skip
COUNT = [-1, 0, 1.5, "2", True, 10**30, -(10**30), [1], {"n": 1}, "\x00"]
MINOR = [value for value in COUNT if value != 0 or value is False]
TEXT = [7, True, ["x"], {"x": "y"}, "nul\x00nul", "\ud800", "x" * 10_000]
EMAIL = [*TEXT, "nobody", "a@", "@b.test", "a b@c.test", "a@b@c.test"]
URL = [*TEXT, "", "javascript:alert(1)", "//x.test", "/relative", "ftp://x.test", "http://"]
CHOICE = [*TEXT, "sideways"]
OBJECT = [7, "x", True, [], [{}]]
LIST = ["x", 7, {}, True]
LINES = [*LIST, [], [None], [7], [[]], [{}] * 21]


def line(resource: Resource | None, hour: float = 10) -> dict[str, Any]:
    window = {"start": rfc3339(at(hour)), "end": rfc3339(at(hour + 1))}
    return window | ({"resource": str(resource.pk)} if resource else {})


MEMBER = {"email": "ana@example.test", "name": "Ana"}
OF_LINE = {
    "lines": LINES, "lines.0.resource": UUID_, "lines.0.start": MOMENT, "lines.0.end": MOMENT,
    "lines.0.quantity": COUNT, "lines.0.add_ons": LIST, "lines.0.colour": ["red"],
    "member": OBJECT, "member.email": EMAIL, "member.name": TEXT, "member.phone": ["1"],
    "discount_code": TEXT,
}  # fmt: skip

# For each POST: a body that is right, as a function of the room, and what may stand nowhere in it.
BODIES: dict[str, tuple[Any, dict[str, list[Any]]]] = {
    "quotes": (lambda room: {"lines": [line(room)], "member": dict(MEMBER)}, OF_LINE),
    "holds": (
        lambda room: {"lines": [line(room, 14)], "member": dict(MEMBER)},
        {**OF_LINE, "ttl_seconds": [*COUNT, 59, 7201], "token": TEXT},
    ),
    "hold-extend": (lambda _: {}, {"more": [1]}),
    "hold-checkout": (
        lambda _: {"success_url": "https://x.test/ok", "cancel_url": "https://x.test/no"},
        {"success_url": URL, "cancel_url": URL, "credit_minor": MINOR},
    ),
    "hold-confirm": (
        lambda _: {
            "payment": {
                "provider": "adyen",
                "reference": "p1",
                "amount_minor": 4500,
                "currency": "NZD",
            }
        },
        {
            "payment": OBJECT,
            "payment.provider": [*TEXT, "", " "],
            "payment.reference": [*TEXT, "", " "],
            "payment.amount_minor": MINOR,
            "payment.currency": [*TEXT, "", "XXX", "nzd", "NZ"],
            "payment.card": ["4242"],
        },
    ),
    "waitlist": (
        lambda room: line(room) | {"member": dict(MEMBER)},
        {
            "resource": UUID_, "start": MOMENT, "end": MOMENT, "quantity": COUNT,
            "duration": [*COUNT, 61], "member": OBJECT, "member.email": [*EMAIL, ""],
            "member.name": TEXT,
        },
    ),
    "cancel": (lambda _: {}, {"refund": CHOICE, "reason": TEXT, "why": ["x"]}),
    "reschedule": (
        lambda _: {"lines": [line(None, 16) | {"line": 0}]},
        {
            "lines": LINES, "lines.0.line": [-1, 20, 1.5, "0", True, 10**30],
            "lines.0.start": MOMENT, "lines.0.end": MOMENT, "lines.0.resource": UUID_,
            "difference": CHOICE, "to": CHOICE, "reason": TEXT, "ttl_seconds": [*COUNT, 59, 7201],
        },
    ),
    "refunds": (
        lambda _: {"amount_minor": 1000, "to": "card", "reason": "Cold room"},
        {"amount_minor": COUNT, "to": [*CHOICE, ""], "reason": [*TEXT, "", " "]},
    ),
    "member-credits": (
        lambda _: {"amount_minor": 1000, "reason": "Sorry"},
        {"amount_minor": [*COUNT, 10**9], "reason": [*TEXT, "", " "], "expires_at": MOMENT},
    ),
}  # fmt: skip
REQUIRED = {
    "quotes": ["lines", "lines.0.resource", "lines.0.start", "lines.0.end"],
    "holds": ["lines", "lines.0.resource", "lines.0.start", "lines.0.end"],
    "hold-checkout": ["success_url", "cancel_url"],
    "hold-confirm": [f"payment.{n}" for n in ("provider", "reference", "amount_minor", "currency")],
    "waitlist": ["resource", "start", "end", "member.email"],
    "reschedule": ["lines", "lines.0.start", "lines.0.end"],
    "refunds": ["amount_minor", "to", "reason"],
    "member-credits": ["amount_minor", "reason"],
}
