"""A key's requests a minute: counted in batches, shared by processes, and never without Redis."""

import time
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection

from bookings.models import Resource
from config.kernel import redis as kernel_redis
from members import rate_limits
from members.models import ApiKey
from members.rate_limits import Counter, RateLimited
from tests.api.client import Api, problem
from tests.factories import make_api_key
from tests.support.redis import own_redis


class Clock:
    """Seconds that pass when a test says so; Redis has its own."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def let_through(counter: Counter, key: str, limit: int, tries: int) -> int:
    """How many of so many requests are not refused."""
    passed = 0
    for _ in range(tries):
        try:
            counter.hit(key, limit)
        except RateLimited:
            continue
        passed += 1
    return passed


class Asked:
    """Counts the round trips to Redis."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, question, otherwise):
        self.times += 1
        return kernel_redis.ask(question, otherwise)


@pytest.fixture
def asked():
    counting = Asked()
    with patch("members.rate_limits.ask", counting):
        yield counting


def test_a_small_limit_is_exact_whichever_process_is_asked() -> None:
    key, one, other = str(uuid4()), Counter(Clock()), Counter(Clock())
    assert let_through(one, key, 7, 4) == 4
    assert let_through(other, key, 7, 10) == 3
    assert let_through(one, key, 7, 10) == 0
    assert let_through(one, str(uuid4()), 7, 4) == 4, "another key's count is its own"


def test_a_large_limit_is_passed_by_less_than_what_is_unreported(asked: Asked) -> None:
    key, processes = str(uuid4()), [Counter(Clock()), Counter(Clock())]
    passed = sum(let_through(each, key, 1000, 700) for each in processes)
    assert 1000 - 1 <= passed <= 1000 + 2 * 10
    assert asked.times <= 1400 / 10 + 4


def test_threads_of_one_process_lose_no_count() -> None:
    key, counter = str(uuid4()), Counter(Clock())
    with ThreadPoolExecutor(8) as pool:
        passed = sum(pool.map(lambda _: let_through(counter, key, 500, 100), range(8)))
    assert 500 - 1 <= passed <= 500 + 5 + 8 * 5, "what is unreported, and what is being told"


def test_ten_thousand_a_minute_cost_a_hundredth_of_a_round_trip_each(asked: Asked) -> None:
    clock = Clock()
    assert let_through(Counter(clock), str(uuid4()), 10_000, 5000) == 5000
    assert asked.times == 1 + 4999 // 100


def test_a_quiet_key_is_reported_once_a_second(asked: Asked) -> None:
    key, clock = str(uuid4()), Clock()
    counter = Counter(clock)
    for _ in range(20):
        counter.hit(key, 10_000)
        clock.now += 0.25
    assert asked.times == 5


def test_the_refusal_says_how_long_and_costs_no_more_questions(asked: Asked) -> None:
    key, clock = str(uuid4()), Clock()
    counter = Counter(clock)
    counter.hit(key, 1)
    with pytest.raises(RateLimited) as caught:
        counter.hit(key, 1)
    assert 50 <= caught.value.data["retry_after_seconds"] <= 60
    so_far = asked.times
    assert let_through(counter, key, 1, 100) == 0
    clock.now += 30
    with pytest.raises(RateLimited) as caught:
        counter.hit(key, 1)
    assert 20 <= caught.value.data["retry_after_seconds"] <= 30
    assert asked.times == so_far


def test_after_the_window_it_begins_anew() -> None:
    key, clock = str(uuid4()), Clock()
    counter = Counter(clock)
    assert let_through(counter, key, 2, 5) == 2
    for name in _client().scan_iter("requests:*"):
        assert 0 < _client().ttl(name) <= 60
        _client().delete(name)
    clock.now += 61
    assert let_through(counter, key, 2, 5) == 2


def test_no_limit_counts_nothing(asked: Asked) -> None:
    assert let_through(Counter(), str(uuid4()), 0, 50) == 50
    assert asked.times == 0


@pytest.mark.parametrize("state", ["pause", "stop"])
def test_without_redis_nobody_is_limited_nor_waits_for_long(
    state: str, settings: pytest.FixtureRequest
) -> None:
    """One time-out of a quarter of a second; then Redis is left alone."""
    with own_redis() as own:
        settings.REDIS_URL = own.url  # type: ignore[attr-defined]
        key = str(uuid4())
        assert let_through(Counter(), key, 1, 3) == 1, "the control: with Redis it is limited"
        getattr(own, state)()
        began = time.monotonic()
        assert let_through(Counter(), key, 1, 300) == 300
        assert time.monotonic() - began < 2, "300 time-outs would be 75 seconds"
        kernel_redis.asked_again()


def _client():
    return kernel_redis._client(settings.REDIS_URL)


# --- Over HTTP ----------------------------------------------------------------------------------


@pytest.fixture
def outside(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in production, where no transaction is open when a key is counted."""

    def ask(question, otherwise):
        connection.in_atomic_block = False
        try:
            return kernel_redis.ask(question, otherwise)
        finally:
            connection.in_atomic_block = True

    monkeypatch.setattr(rate_limits, "ask", ask)


def test_a_key_has_its_own_limit(room: Resource, outside: None) -> None:
    _, few = make_api_key(workspace=room.workspace, requests_per_minute=2)
    _, many = make_api_key(workspace=room.workspace)
    first, second = Api(few).get("/resources"), Api(few).post("/nothing")
    assert first.status_code == 200
    assert second.status_code == 404, "what the API does not have is not counted"
    assert Api(few).post("/quotes", {}).status_code == 400, "a refused request counts"
    refused = Api(few).get("/resources")
    body = problem(refused, 429, "rate_limited")
    assert refused["Retry-After"] == str(body["retry_after_seconds"])
    assert 1 <= int(refused["Retry-After"]) <= 60
    problem(Api(few).post("/holds", {}), 429, "rate_limited")
    assert Api(many).get("/resources").status_code == 200, "from the same address"


def test_the_default_is_a_setting(room: Resource, outside: None, settings) -> None:
    settings.API_REQUESTS_PER_MINUTE = 1
    _, secret = make_api_key(workspace=room.workspace)
    assert Api(secret).get("/resources").status_code == 200
    problem(Api(secret).get("/resources"), 429, "rate_limited")
    settings.API_REQUESTS_PER_MINUTE = 0
    _, other = make_api_key(workspace=room.workspace)
    assert {Api(other).get("/resources").status_code for _ in range(3)} == {200}


def test_who_has_no_key_is_not_counted(room: Resource, outside: None) -> None:
    with patch.object(rate_limits, "count_request") as counted:
        problem(Api("sk_nobody").get("/resources"), 401, "unauthenticated")
        problem(Api().get("/resources"), 401, "unauthenticated")
    counted.assert_not_called()


@pytest.mark.django_db
def test_a_limited_key_still_owns_what_it_had(room: Resource, outside: None) -> None:
    """429 is never kept: the same idempotency key does its work later."""
    key, secret = make_api_key(workspace=room.workspace, requests_per_minute=1)
    api = Api(secret)
    api.get("/resources")
    problem(api.post("/holds", {}, key="k"), 429, "rate_limited")
    ApiKey.objects.filter(pk=key.pk).update(requests_per_minute=50)
    rate_limits._of_this_process._counts.clear()
    problem(api.post("/holds", {}, key="k"), 400, "invalid")
