"""Remembering the attempts to book that we failed: a line in the log, and a row when there can be.

Only what went wrong through us is kept (5xx); an honest `slot_taken` is none of it. The line holds
all that the row does, so that `manage.py import_attempts` can make the rows of an outage from it.
"""

import hashlib
import json
import logging
import re
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse, QueryDict, RawPostDataException
from django.utils.dateparse import parse_datetime

from bookings.add_ons import check_add_ons
from bookings.checks import broken_rules
from bookings.errors import LineError
from bookings.models import Booking, Resource
from bookings.picking import add_ons_said, field_of
from bookings.pricing import quote, quote_add_on
from bookings.rules import Rules, Window
from bookings.selectors import rules_for
from config.kernel.context import request_id
from holds.models import Hold
from members.models import ApiKey, Member, Workspace
from members.visitors import visitor_known
from payments.making_good.wishes import wish_of
from payments.models import FailedAttempt

log = logging.getLogger("surehold.attempts")

MARK = "booking attempt failed "
_LINE = re.compile(re.escape(MARK) + r"(\{.*\})\s*$")
_WATCHED = {
    "payments:place": FailedAttempt.What.HOLD,
    "payments:pay": FailedAttempt.What.PAY,
    "embed:place": FailedAttempt.What.HOLD,
    "embed:pay": FailedAttempt.What.PAY,
    "api:holds": FailedAttempt.What.HOLD,
    "api:hold-checkout": FailedAttempt.What.PAY,
}
_FORM_FIELDS = ("start", "end", "quantity", "email", "name")
_MOST_BYTES = 16 * 1024


class FailedAttemptMiddleware:
    """Keeps what a POST to hold or to pay was about when its answer is a 5xx."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        _read_early(request)
        response = self.get_response(request)
        if response.status_code >= 500 and request.method == "POST":
            what = _WATCHED.get(request.resolver_match.view_name if request.resolver_match else "")
            if what:
                _keep(_said(request, response, what))
        return response


def _read_early(request: HttpRequest) -> None:
    """Keep a small JSON body for afterwards: whoever parses it reads it off the wire."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    is_json = request.content_type == "application/json" and request.path.startswith("/api/")
    if request.method == "POST" and is_json and length.isdigit() and int(length) <= _MOST_BYTES:
        _ = request.body


def _said(request: HttpRequest, response: HttpResponse, what: str) -> dict[str, Any]:
    """What a row needs, as far as the request tells without asking the database."""
    assert request.resolver_match is not None
    member = getattr(request, "_cached_user", None)
    return {
        "id": uuid.uuid4(),
        "what": what,
        "at": datetime.now(UTC),
        "status": response.status_code,
        "code": _code(response),
        "request_id": request_id.get(),
        "address": {k: v for k, v in request.resolver_match.kwargs.items() if k != "segment"},
        "key": _key_digest(request),
        "member": member.pk if member is not None and member.is_authenticated else None,
        "visitor": visitor_known(request),
        "asked": _asked(request),
    }


def _code(response: HttpResponse) -> str:
    if response.headers.get("Content-Type", "").startswith("application/problem+json"):
        return str(json.loads(response.content).get("code", ""))
    return "temporarily_unavailable" if response.status_code == 503 else "internal_error"


def _key_digest(request: HttpRequest) -> str:
    """The key's digest, as the database keeps it; never the key."""
    scheme, _, secret = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not secret:
        return ""
    return hashlib.sha256(secret.strip().encode()).hexdigest()


def _asked(request: HttpRequest) -> dict[str, Any]:
    """The fields that say what was wanted and by whom; nothing else of the body is kept."""
    if request.content_type == "application/json":
        try:
            body = json.loads(request.body)
        except (ValueError, RawPostDataException):
            return {}
        if not isinstance(body, dict):
            return {}
        return {name: body[name] for name in ("lines", "member") if name in body}
    kept = {name: request.POST[name] for name in _FORM_FIELDS if name in request.POST}
    return kept | {field_of(pool): str(many) for pool, many in add_ons_said(request.POST)}


def _keep(said: dict[str, Any]) -> None:
    """The line first: it needs nothing but us. Never raises."""
    line = json.dumps(said, cls=DjangoJSONEncoder, sort_keys=True)
    log.error("%s%s", MARK, line)
    try:
        take_in(json.loads(line), is_from_log=False)
    except (DatabaseError, InterfaceError) as error:
        log.warning("the attempt is in the log alone: %s", error)
    except Exception:
        log.exception("the attempt is in the log alone")


def from_log(lines: Iterable[str]) -> tuple[int, int]:
    """Make the rows of the attempts that a log tells of: how many are new, how many were there.

    Lines that are about nothing of ours (any more) are left out. One that cannot be taken in is
    logged, and the others are.
    """
    new = known = 0
    for line in lines:
        said = _read(line)
        taken = _taken_or_logged(said) if said else None
        new += taken is True
        known += taken is False
    return new, known


def _taken_or_logged(said: dict[str, Any]) -> bool | None:
    try:
        return take_in(said, is_from_log=True)
    except (OperationalError, InterfaceError):
        raise  # the database is away again: stop, and import the log once more
    except Exception:
        log.exception("an attempt could not be taken in: %s", said.get("id"))
        return None


def _read(line: str) -> dict[str, Any] | None:
    """What a line of the log says of an attempt; None where it is about something else."""
    found = _LINE.search(line)
    try:
        said = json.loads(found.group(1)) if found else None
    except ValueError:  # cut off in the middle
        return None
    return said if isinstance(said, dict) else None


def take_in(said: dict[str, Any], *, is_from_log: bool) -> bool | None:
    """Write the row of one attempt: True when it is new, None when its workspace is not known."""
    hold = _hold(said["address"])
    workspace = hold.workspace if hold else _workspace(said)
    if workspace is None:
        return None
    booking = hold.booking if hold else None
    at = datetime.fromisoformat(said["at"])
    lines, quoted = (
        (wish_of(booking), booking.total_minor) if booking else _wish(said, workspace, at)
    )
    member = Member.objects.filter(pk=said["member"]).first() if said["member"] else None
    row = FailedAttempt(
        id=said["id"],
        workspace=workspace,
        what=said["what"],
        at=at,
        status=said["status"],
        code=said["code"][:60],
        request_id=said["request_id"],
        booking=booking,
        member=member or (booking.member if booking else None),
        email=_email(said["asked"], member, booking),
        visitor=said["visitor"],
        lines=lines,
        quoted_minor=quoted,
        currency=workspace.currency,
        is_from_log=is_from_log,
    )
    with transaction.atomic():
        if FailedAttempt.objects.filter(pk=row.pk).exists():
            return False
        row.save(force_insert=True)
    return True


def _hold(address: dict[str, str]) -> Hold | None:
    holds = Hold.objects.select_related("workspace", "booking__member")
    if "token" in address:
        return holds.filter(token=address["token"]).first()
    if "hold_id" in address:
        return holds.filter(pk=address["hold_id"]).first()
    return None


def _workspace(said: dict[str, Any]) -> Workspace | None:
    if said["key"]:
        key = ApiKey.objects.select_related("workspace").filter(digest=said["key"]).first()
        return key.workspace if key else None
    return Workspace.objects.filter(slug=said["address"].get("slug", "")).first()


def _lines_asked(said: dict[str, Any], workspace: Workspace) -> list[dict[str, Any]]:
    """The lines of a body or a form whose resources and times are real; at most 20."""
    asked = said["asked"]
    if "resource_slug" in said["address"]:
        slug = said["address"]["resource_slug"]
        resource = Resource.objects.filter(workspace=workspace, slug=slug).first()
        wanted = [_of_form(asked, resource)] if resource else []
    else:
        given = asked.get("lines")
        wanted = given[:20] if isinstance(given, list) else []
    return [line for each in wanted if (line := _line(each)) is not None]


def _of_form(asked: dict[str, Any], resource: Resource) -> dict[str, Any]:
    """A page's form as the API would have said it: its add-ons are fields of their own."""
    said = QueryDict(mutable=True)
    said.update({name: str(value) for name, value in asked.items()})
    add_ons = [{"resource": str(pool), "quantity": many} for pool, many in add_ons_said(said)]
    return {**asked, "resource": str(resource.pk), "add_ons": add_ons}


def _line(asked: Any) -> dict[str, Any] | None:
    try:
        start, end = parse_datetime(asked["start"]), parse_datetime(asked["end"])
        line: dict[str, Any] = {
            "resource": str(uuid.UUID(asked["resource"])),
            "start": start and start.isoformat(),
            "end": end and end.isoformat(),
            "quantity": int(asked.get("quantity") or 1),
        }
        if asked.get("add_ons"):
            line["add_ons"] = [
                {"resource": str(uuid.UUID(a["resource"])), "quantity": int(a.get("quantity") or 1)}
                for a in asked["add_ons"][:20]
            ]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return line if start and end and start.tzinfo and end.tzinfo and start < end else None


def _wish(
    said: dict[str, Any], workspace: Workspace, at: datetime
) -> tuple[list[dict[str, Any]], int | None]:
    """The lines asked for and what they cost by today's rules.

    Nothing and None when they could not have been booked even on a good day: what is given for an
    incident is a share of the price, which nobody is to choose.
    """
    lines = _lines_asked(said, workspace)
    wanted = [uuid.UUID(line["resource"]) for line in lines]
    rules = rules_for(workspace_id=workspace.pk, resource_ids=wanted) if wanted else {}
    total = 0
    for resource_id, line in zip(wanted, lines, strict=True):
        found, window, many = rules.get(resource_id), _window(line), line["quantity"]
        if found is None or broken_rules(found, window, quantity=many, now=at):
            return [], None
        try:
            total += quote(found, window, many).total.amount_minor + _add_ons(found, line)
        except LineError:
            return [], None
    return lines, total if lines else None


def _add_ons(rules: Rules, line: dict[str, Any]) -> int:
    """What a line's add-ons cost. Raises LineError where they are not offered like that."""
    chosen = [(uuid.UUID(a["resource"]), a["quantity"]) for a in line.get("add_ons", ())]
    check_add_ons(rules, chosen, quantity=line["quantity"], line=0)
    offers = {offer.pool_id: offer for offer in rules.offers}
    pools = rules_for(workspace_id=rules.workspace_id, resource_ids=offers) if chosen else {}
    prices = [
        quote_add_on(offers[pool], _window(line), many, rules=pools[pool])
        for pool, many in chosen
        if pool in pools
    ]
    return sum(price.total.amount_minor for price in prices)


def _window(line: dict[str, Any]) -> Window:
    return Window(datetime.fromisoformat(line["start"]), datetime.fromisoformat(line["end"]))


def _email(asked: dict[str, Any], member: Member | None, booking: Booking | None) -> str:
    about = asked.get("member")
    given = about.get("email") if isinstance(about, dict) else asked.get("email")
    known = given or (booking.email if booking else "") or (member.email if member else "")
    return known.strip().lower()[:254] if isinstance(known, str) else ""
