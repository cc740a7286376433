"""How often an address may ask, and what a page may read: without a database."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from bookings import last_answers
from config import cors
from config.kernel.redis import ask
from members import visitor_rates

ORIGIN = "https://club.example"


def test_an_address_asks_only_so_often(settings: Any) -> None:
    settings.VISITOR_READS_PER_MINUTE, settings.VISITOR_WRITES_PER_MINUTE = 3, 1
    for _ in range(3):
        visitor_rates.refuse_too_many("2001:db9::", "GET")
    with pytest.raises(visitor_rates.TooManyRequests):
        visitor_rates.refuse_too_many("2001:db9::", "GET")
    visitor_rates.refuse_too_many("2001:db9::", "POST")
    with pytest.raises(visitor_rates.TooManyRequests):
        visitor_rates.refuse_too_many("2001:db9::", "POST")
    visitor_rates.refuse_too_many("2001:db9:0:1::", "GET")
    visitor_rates.refuse_too_many(None, "GET")


def test_without_redis_nobody_is_counted(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    settings.VISITOR_READS_PER_MINUTE = 1
    for _ in range(3):
        visitor_rates.refuse_too_many("1.1.1.1", "GET")


@pytest.mark.parametrize(
    ("status", "headers", "key", "origin", "readable"),
    [
        (503, {}, "pk_x", ORIGIN, True),  # so that a page is told to come again
        (200, {"Age": "30"}, "pk_x", ORIGIN, True),  # what was last answered to this origin
        (200, {}, "pk_x", ORIGIN, False),
        (401, {}, "pk_x", ORIGIN, False),
        (503, {}, "sk_x", ORIGIN, False),
        (503, {}, "pk_x", "https://evil.example", False),
    ],
)
def test_without_a_database_what_was_listed_lately_is_known(
    status: int, headers: dict[str, str], key: str, origin: str, readable: bool
) -> None:
    ask(lambda client: client.set(f"cors:{ORIGIN}", 1, ex=60), None)
    middleware = cors.CorsMiddleware(lambda _: HttpResponse(status=status, headers=headers))
    sent = {"Authorization": f"Bearer {key}", "Origin": origin}
    answer = middleware(RequestFactory().get("/api/v1/resources", headers=sent))
    assert ("Access-Control-Allow-Origin" in answer) is readable
    assert answer["Vary"] == "Origin"


@pytest.mark.parametrize(("secret", "kept"), [("pk_strangers", 2), ("sk_operators", 20)])
def test_what_strangers_ask_for_takes_so_much_room_and_no_more(
    monkeypatch: pytest.MonkeyPatch, secret: str, kept: int
) -> None:
    """There are as many windows to ask for as anybody likes; each answer is kept for an hour."""
    monkeypatch.setattr(last_answers, "_PLACES", 2)
    secret += uuid4().hex

    def there() -> int:
        return ask(lambda client: len(client.keys("last:*")), 0)

    def answered(number: int, status: int) -> Any:
        written = HttpResponse(f'{{"n": {number}}}', status=status)
        headers = {"Authorization": f"Bearer {secret}", "Origin": ORIGIN}
        asked = RequestFactory().get(f"/api/v1/resources?q={number}", headers=headers)
        return last_answers.LastAnswerMiddleware(lambda _: written)(asked)

    before = there()
    for number in range(20):
        assert answered(number, 200).status_code == 200
    assert there() - before == kept
    known = [(n, answered(n, 503)) for n in range(20)]
    right = [json.loads(answer.content)["n"] == n for n, answer in known if "Age" in answer]
    assert right == [True] * kept, "never the answer to another question"
    assert answered(19, 503).status_code == 200
