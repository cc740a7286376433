"""The same key, the same answer, one effect (INV-8); tests/api has the header and the statuses."""

import threading

import pytest
from django.db import IntegrityError, OperationalError, transaction

from bookings.errors import SlotTaken
from bookings.models import Booking
from config.kernel.errors import DomainError, TemporarilyUnavailable
from holds.errors import TooManyHolds
from members import idempotency
from members.idempotency import Answer, IdempotencyKeyInUse, IdempotencyKeyReused
from members.models import IdempotencyKey
from tests.core.raw import sql
from tests.core.support import SOMEBODY, line
from tests.core.threads import Aside, together
from tests.factories import CategoryFactory, WorkspaceFactory, make_room

pytestmark = pytest.mark.django_db(transaction=True)


def ask(work, *, key="k", request=None, scope="key:1", operation="test", **options):
    return idempotency.once(
        scope=scope, operation=operation, key=key, request=request or {"a": 1}, work=work, **options
    )


@pytest.fixture
def effect(transactional_db):
    """Work with an effect that can be counted: a category each time it is done."""
    workspace = WorkspaceFactory()

    def work(status=200, error=None):
        CategoryFactory(workspace=workspace)
        if error:
            raise error
        return Answer(status, {"n": count(), "text": "grüß"})

    return work


def count() -> int:
    return sql("SELECT count(*) FROM bookings_category")[0][0]


@pytest.mark.parametrize("calls_out", [False, True])
def test_a_repeat_gets_the_answer_and_no_second_effect(effect, calls_out):
    first = ask(effect, calls_out=calls_out)
    again = ask(effect, calls_out=calls_out)
    assert (first.replayed, again.replayed) == (False, True)
    assert (again.status, again.body) == (first.status, first.body)
    assert count() == 1


@pytest.mark.parametrize("calls_out", [False, True])
def test_another_request_under_the_key_is_refused(effect, calls_out):
    ask(effect, calls_out=calls_out)
    with pytest.raises(IdempotencyKeyReused) as caught:
        ask(effect, request={"a": 2}, calls_out=calls_out)
    assert (caught.value.status, caught.value.code) == (422, "idempotency_key_reused")
    assert count() == 1
    assert ask(effect).body == {"n": 1, "text": "grüß"}, "the first answer is still there"


def test_scope_and_operation_are_part_of_the_name(effect):
    for scope, operation in [("key:1", "test"), ("key:2", "test"), ("key:1", "other")]:
        assert not ask(effect, scope=scope, operation=operation).replayed
    assert count() == 3


def test_the_order_of_a_requests_members_does_not_matter(effect):
    ask(effect, request={"a": 1, "b": 2})
    assert ask(effect, request={"b": 2, "a": 1}).replayed


def test_a_final_refusal_is_rolled_back_stored_and_replayed(effect):
    first = ask(lambda: effect(error=SlotTaken(line=1)))
    again = ask(effect)
    assert (first.status, first.body["code"], first.body["line"]) == (409, "slot_taken", 1)
    assert (again.status, again.body, again.replayed) == (409, first.body, True)
    assert count() == 0


@pytest.mark.parametrize("error", [TooManyHolds(), TemporarilyUnavailable(), RuntimeError("bug")])
def test_429_5xx_and_bugs_are_not_stored(effect, error):
    with pytest.raises(type(error)):
        ask(lambda: effect(error=error))
    assert count() == 0
    assert not IdempotencyKey.objects.exists()
    assert ask(effect).status == 200
    assert count() == 1


def test_a_constraints_refusal_at_the_commit_becomes_its_error():
    """Deferred triggers speak when the transaction ends, outside of the work."""
    room = make_room()

    def work():
        from tests.core import raw

        raw.taken(room)
        raw.taken(room)
        return Answer(201, {})

    first = ask(work)
    assert (first.status, first.body["code"]) == (409, "slot_taken")
    assert not Booking.objects.exists()


def test_an_unnamed_refusal_of_the_database_is_a_bug(effect):
    def work():
        effect()
        raise IntegrityError("no rule of ours")

    with pytest.raises(IntegrityError):
        ask(work)
    assert not IdempotencyKey.objects.exists()


def test_twelve_at_once_are_one_effect(effect):
    found = together([lambda: ask(effect)] * 12)
    assert [type(answer) for answer in found] == [Answer] * 12, found
    assert {str(answer.body) for answer in found} == {str(found[0].body)}
    assert sorted(answer.replayed for answer in found) == [False] + [True] * 11
    assert count() == 1


def test_twelve_refusals_at_once_are_one_refusal(effect):
    """A refusal leaves its transaction before it is stored; a duplicate may slip in between."""
    numbers = iter(range(100))

    def refuse():
        effect(error=SlotTaken(line=next(numbers)))

    found = together([lambda: ask(refuse)] * 12)
    assert {answer.status for answer in found} == {409}
    assert len({answer.body["line"] for answer in found}) == 1, "all are told the same"
    assert count() == 0
    assert IdempotencyKey.objects.count() == 1


def test_the_refusal_race_has_one_answer(effect):
    """A is refused and has rolled back; before it stores that, B does the same work and succeeds.

    The key decides: both get B's answer.
    """
    refused, go_on = threading.Event(), threading.Event()

    class Paused(SlotTaken):
        @property
        def is_final(self):
            refused.set()
            assert go_on.wait(20)
            return True

    slow = Aside(lambda: ask(lambda: effect(error=Paused(line=0))))
    assert refused.wait(20)
    quick = ask(effect)
    go_on.set()
    late = slow.result()
    assert (quick.status, late.status) == (200, 200)
    assert late.body == quick.body
    assert late.replayed
    assert count() == 1


def test_a_duplicate_of_one_that_takes_too_long_is_told_so(effect):
    started, go_on = threading.Event(), threading.Event()

    def slow():
        started.set()
        assert go_on.wait(20)
        return effect()

    first = Aside(lambda: ask(slow))
    assert started.wait(20)
    sql("SET lock_timeout = '50ms'")
    try:
        with pytest.raises(IdempotencyKeyInUse) as caught:
            ask(effect)
    finally:
        sql("RESET lock_timeout")
        go_on.set()
    assert (caught.value.status, caught.value.code) == (409, "idempotency_key_in_use")
    assert first.result().status == 200
    assert ask(effect).replayed, "what was in use is answered afterwards"
    assert count() == 1


def test_work_that_calls_out_is_resumed_after_a_crash(effect):
    """Key and intent are committed; the process dies in the call; the repeat does it again."""
    with pytest.raises(RuntimeError):
        ask(lambda: effect(error=RuntimeError("power cut")), calls_out=True)
    assert list(IdempotencyKey.objects.values_list("status", flat=True)) == [None]
    answer = ask(effect, calls_out=True)
    assert (answer.status, answer.replayed) == (200, False)
    assert ask(effect, calls_out=True).replayed


def test_work_that_calls_out_runs_outside_any_transaction(effect):
    from django.db import connection

    seen = []

    def work():
        seen.append(connection.in_atomic_block)
        return Answer(200, {})

    ask(work, calls_out=True, key="a")
    ask(work, key="b")
    assert seen == [False, True]


def test_one_claim_under_one_key_at_once_is_one_hold():
    from holds import services
    from holds.claims import Claimant
    from members.models import Workspace

    room = make_room()
    workspace = Workspace.objects.get(pk=room.workspace_id)

    def claim():
        held = services.claim(
            workspace=workspace, lines=[line(room)], claimant=Claimant(), actor=SOMEBODY
        )
        return Answer(201, {"id": str(held.pk)})

    found = together([lambda: ask(claim)] * 10)
    assert {(a.status, a.body["id"]) for a in found} == {(201, found[0].body["id"])}
    assert Booking.objects.count() == 1


def power_cut():
    """The server loses this session: what was not committed never was."""
    sql("SELECT pg_terminate_backend(pg_backend_pid())")


def test_a_crash_between_effect_and_record_leaves_neither(effect):
    def work():
        effect()
        power_cut()

    with pytest.raises(OperationalError):
        Aside(lambda: ask(work)).result()
    assert count() == 0
    assert not IdempotencyKey.objects.exists()
    assert (ask(effect).replayed, ask(effect).replayed, count()) == (False, True, 1)


def test_control_a_record_written_after_the_effect_lets_it_happen_twice(effect):
    """What the shared transaction protects from."""

    def apart():
        answer = effect()  # committed by itself
        power_cut()
        return ask(lambda: answer)

    with pytest.raises(OperationalError):
        Aside(apart).result()
    assert not ask(effect).replayed
    assert count() == 2


def test_the_effect_and_its_record_stand_or_fall_together(effect):
    class Crash(DomainError):
        status = 500

    with pytest.raises(Crash), transaction.atomic():  # noqa: PT012
        ask(effect)
        raise Crash
    assert count() == 0
    assert not IdempotencyKey.objects.exists()
