"""One API call from its headers to its answer: key, account, faults, idempotency, effect."""

from __future__ import annotations

import base64
import hmac
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, TypeAlias

from . import accounts, checkout, faults, idempotency, intents, paying, races
from .core import Context, Sandbox
from .errors import StripeError, broken
from .events import API_VERSION
from .expand import expand
from .faults import Fault, Withheld
from .ids import new_id
from .params import decode
from .routes import Route, resolve

log = logging.getLogger(__name__)

StillThere = Callable[[], bool]
Headers: TypeAlias = "Message[str, str]"


class ClientGoneError(Exception):
    """Nobody is waiting for the answer any more."""


@dataclass
class Call:
    """A request to the API as it came in."""

    method: str
    path: str
    query: str
    body: str
    headers: Headers
    still_there: StillThere


@dataclass
class Answer:
    """What goes back: a status, a JSON text, headers."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)


class Api:
    """Answers calls under ``/v1``."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._keys = idempotency.Keys(sandbox.store)

    def answer(self, call: Call) -> Answer:
        """The answer to ``call``; raises :class:`ClientGoneError` when it was withheld too long."""
        request_id = new_id("req")
        record: dict[str, Any] = {"id": request_id, "method": call.method, "path": call.path}
        try:
            answer = self._answer(call, request_id, record)
        except StripeError as error:
            answer = _refuse(error)
        except ClientGoneError:
            record["status"] = None
            self._sandbox.requests.append(record)
            raise
        except Exception:
            log.exception("%s %s failed", call.method, call.path)
            answer = _refuse(StripeError("The sandbox failed.", status=500, type_name="api_error"))
        record["status"] = answer.status
        record["replayed"] = "Idempotent-Replayed" in answer.headers
        self._sandbox.requests.append(record)
        return _with_headers(answer, call, request_id)

    def _answer(self, call: Call, request_id: str, record: dict[str, Any]) -> Answer:
        self._authenticate(call.headers)
        account = self._account(call.headers)
        raw = decode(call.body if call.method == "POST" else call.query)
        record.update(account=account, params=raw, at=self._sandbox.clock.now())
        route, path_id = resolve(call.method, call.path)
        key = call.headers.get("Idempotency-Key") if call.method == "POST" else None
        record.update(operation=route.operation, idempotency_key=key)
        context = self._sandbox.context(
            account,
            operation=route.operation,
            path_id=path_id,
            request_id=request_id,
            idempotency_key=key,
        )
        checkout.expire_due(self._sandbox)
        if key is None:
            return self._perform(route, context, raw, call.still_there)
        return self._once(route, context, raw, call)

    def _authenticate(self, headers: Headers) -> None:
        scheme, _, given = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            given = base64.b64decode(given + "==").decode(errors="replace").partition(":")[0]
        if not given:
            raise StripeError("You did not provide an API key.", status=401)
        known = self._sandbox.settings.secret_key
        if not hmac.compare_digest(given.strip().encode(), known.encode()):
            shown = f"{given[:8]}{'*' * 8}{given[-4:]}"
            raise StripeError(f"Invalid API Key provided: {shown}", status=401)

    def _account(self, headers: Headers) -> str:
        account = headers.get("Stripe-Account") or self._sandbox.platform
        return str(accounts.known(self._sandbox, account)["id"])

    def _once(self, route: Route, context: Context, raw: dict[str, Any], call: Call) -> Answer:
        """Perform the call unless its idempotency key has an answer already."""
        key = context.idempotency_key or ""
        print_ = idempotency.fingerprint(call.method, call.path, raw)
        kept = self._keys.begin(
            context.account, key, print_, context.request_id or "", self._sandbox.clock.now()
        )
        if kept:
            headers = {"Idempotent-Replayed": "true", "Original-Request": kept.request_id}
            if kept.status >= 500:
                headers["Stripe-Should-Retry"] = "false"
            return Answer(kept.status, kept.body, headers)
        try:
            return self._perform(route, context, raw, call.still_there)
        finally:
            # Does nothing once an answer is kept.
            self._keys.abandon(context.account, key)

    def _perform(
        self, route: Route, context: Context, raw: dict[str, Any], still_there: StillThere
    ) -> Answer:
        fault = self._sandbox.faults.take(faults.API, _facts(context))
        if fault and fault.kind == "error_500_before":
            with self._sandbox.store.transaction():
                return self._keep(context, _refuse(broken(_retry_header(fault))))
        self._before(fault, context, still_there)
        answer = self._race(route, context, raw, fault)
        if fault and fault.kind == "hang_after":
            self._withhold(fault, context, still_there, effect_done=True)
        if fault and fault.kind == "cut_after":
            raise ClientGoneError
        return answer

    def _before(self, fault: Fault | None, context: Context, still_there: StillThere) -> None:
        """Whatever goes wrong before the call has an effect."""
        if fault is None:
            return
        if fault.kind in _REFUSALS:
            raise _refusal(fault, context)
        if fault.kind == "cut_before":
            raise ClientGoneError
        if fault.kind == "slow":
            time.sleep(fault.options["seconds"])
        if fault.kind == "hang_before":
            self._withhold(fault, context, still_there, effect_done=False)
        if fault.kind == "capture_fails":
            self._lose_authorisation(context)

    def _lose_authorisation(self, context: Context) -> None:
        """The card network took the authorisation back just before the call."""
        with self._sandbox.store.transaction():
            intent = intents.find(context, context.path_id)
            if intent["status"] == "requires_capture":
                intents.lapse(context, intent)

    def _withhold(
        self, fault: Fault, context: Context, still_there: StillThere, *, effect_done: bool
    ) -> None:
        """Wait until the fault is lifted; give up when the client hangs up."""
        request = Withheld(context.operation, effect_done, context.idempotency_key, context.path_id)
        self._sandbox.faults.withhold(fault, request)
        try:
            while not request.released.wait(0.05):
                if self._sandbox.stopping.is_set() or not still_there():
                    raise ClientGoneError
        finally:
            self._sandbox.faults.forget(fault, request)

    def _race(
        self, route: Route, context: Context, raw: dict[str, Any], fault: Fault | None
    ) -> Answer:
        race = None
        if route.operation == "checkout.sessions.expire":
            facts = {"account": context.account, "session": context.path_id}
            race = self._sandbox.faults.take(faults.RACE, facts)
        return races.run(
            race,
            "expire",
            lambda: self._execute(route, context, raw, fault),
            lambda: pay_quietly(self._sandbox, context.account, context.path_id),
        )

    def _execute(
        self, route: Route, context: Context, raw: dict[str, Any], fault: Fault | None
    ) -> Answer:
        """The effect and its kept answer, in one transaction."""
        store = self._sandbox.store
        context.params = route.check(raw, "")
        with store.transaction():
            context.now = int(self._sandbox.clock.now())
            try:
                with store.transaction():
                    answer = self._handle(route, context)
            except StripeError as error:
                if not error.stored:
                    raise
                answer = _refuse(error)
            if fault and fault.kind == "error_500_after":
                answer = _refuse(broken(_retry_header(fault)))
            self._count(route, context)
            return self._keep(context, answer)

    def _handle(self, route: Route, context: Context) -> Answer:
        result = route.handler(context)
        expand(context.store, result, context.params.get("expand", []))
        return Answer(200, json.dumps(result, ensure_ascii=False))

    def _count(self, route: Route, context: Context) -> None:
        if route.method == "POST" and context.path_id:
            context.store.count_call(context.path_id, route.operation.rpartition(".")[2])

    def _keep(self, context: Context, answer: Answer) -> Answer:
        if context.idempotency_key is not None:
            self._keys.finish(context.account, context.idempotency_key, answer.status, answer.body)
        return answer


def pay_quietly(sandbox: Sandbox, account: str, session_id: str) -> None:
    """A payer somewhere pays; if the session is gone, so be it."""
    try:
        with sandbox.store.transaction():
            paying.attempt(sandbox.context(account), session_id, "pay", None)
    except (paying.NotOpenError, AssertionError):
        log.info("nothing left to pay in %s", session_id)


def expire_quietly(sandbox: Sandbox, account: str, session_id: str) -> None:
    """Somebody expires the session; if it is not open any more, so be it."""
    try:
        with sandbox.store.transaction():
            checkout.expire(sandbox.context(account, path_id=session_id))
    except StripeError as error:
        log.info("nothing left to expire: %s", error)


def _facts(context: Context) -> dict[str, Any]:
    return {
        "operation": context.operation,
        "account": context.account,
        "object": context.path_id,
        "idempotency_key": context.idempotency_key,
    }


_REFUSALS = ("rate_limit_429", "conflict_409", "lock_timeout")


def _refusal(fault: Fault, context: Context) -> StripeError:
    """The answer of a fault that turns the call away before it begins."""
    if fault.kind == "rate_limit_429":
        error = StripeError("Too many requests.", status=429, code="rate_limit")
    elif fault.kind == "conflict_409":
        error = idempotency.in_use(context.idempotency_key or "")
    else:
        error = StripeError(
            "Another request is working on this object.",
            status=fault.options["status"],
            code="lock_timeout",
        )
    error.headers.update(_retry_header(fault))
    return error


def _retry_header(fault: Fault) -> dict[str, str]:
    wanted = fault.options["should_retry"]
    return {} if wanted is None else {"Stripe-Should-Retry": str(wanted).lower()}


def _refuse(error: StripeError) -> Answer:
    return Answer(error.status, json.dumps(error.body()), dict(error.headers))


def _with_headers(answer: Answer, call: Call, request_id: str) -> Answer:
    answer.headers["Request-Id"] = request_id
    answer.headers["Stripe-Version"] = call.headers.get("Stripe-Version") or API_VERSION
    for name in ("Idempotency-Key", "Stripe-Account"):
        if call.headers.get(name):
            answer.headers[name] = call.headers[name]
    return answer
