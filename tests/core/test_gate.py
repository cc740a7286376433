"""The contention gate: who comes in, who waits, who is told; and that it opens without Redis."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
from django.conf import settings

from bookings import rules_query
from bookings.errors import SlotTaken
from config.kernel.redis import asked_again
from holds import gate
from holds.claims import Claimant, LineRequest
from tests.core.support import hold, lapse, tomorrow
from tests.factories import make_room
from tests.support.redis import own_redis

WORKSPACE = uuid4()
WON, LOST, BROKEN = (SimpleNamespace(status=n) for n in (201, 409, 422))


@pytest.fixture(autouse=True)
def _redis_is_asked(monkeypatch):
    monkeypatch.setattr(gate, "WAITS_SECONDS", (0.02,) * 5)
    asked_again()
    yield
    asked_again()


def resource(mode: str = "exclusive") -> UUID:
    """The id of a resource that this process has met, and that a crowd wants all day."""
    made = quiet_resource(mode)
    gate.crowds.lost([line(made, 0, 23)])
    return made


def quiet_resource(mode: str = "exclusive") -> UUID:
    """The id of a resource that this process has met, and that nobody fights for."""
    made = uuid4()
    rules_query._modes[made] = mode
    return made


def line(of: UUID, start: int = 9, end: int = 10, quantity: int = 1) -> LineRequest:
    return LineRequest(of, tomorrow(start), tomorrow(end), quantity)


def told(error: SlotTaken) -> Any:
    return "told"


def come(
    *lines: LineRequest,
    owner: str = "b",
    work: Callable[[], Any] = lambda: BROKEN,
    refuse: Callable[[SlotTaken], Any] = told,
    replaces: bool = False,
) -> Any:
    asked = gate.Asked(WORKSPACE, list(lines), owner, replaces=replaces)
    return gate.through(work, asked=asked, refuse=refuse)


class Deciding:
    """Somebody else's claim that is under way for as long as the block lasts."""

    def __init__(self, *lines: LineRequest, owner: str = "a", answer: Any = BROKEN) -> None:
        self.lines, self.owner, self.answer = lines, owner, answer
        self.inside, self.leave = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        come(*self.lines, owner=self.owner, work=self._work)

    def _work(self) -> Any:
        self.inside.set()
        self.leave.wait(20)
        return self.answer

    def __enter__(self) -> "Deciding":
        self.thread.start()
        assert self.inside.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self.leave.set()
        self.thread.join(20)


def test_an_overlapping_window_waits_and_is_then_told_to_come_again():
    room = resource()
    worked = []
    with Deciding(line(room, 9, 11)):
        for overlapping in (line(room, 9, 11), line(room, 10, 12), line(room, 8, 14)):
            with pytest.raises(gate.SlotContended) as caught:
                come(overlapping, work=lambda: worked.append(1))
    assert worked == []
    assert (caught.value.status, caught.value.retry_after_seconds) == (409, 1)
    assert not caught.value.is_final


def test_windows_that_do_not_overlap_are_never_held_back():
    room = resource()
    with Deciding(line(room, 9, 11)):
        assert come(line(room, 11, 12)) is BROKEN
        assert come(line(room, 8, 9)) is BROKEN
        assert come(line(resource(), 9, 11)) is BROKEN


def test_who_waits_comes_in_as_soon_as_it_is_decided():
    room = resource()
    first = Deciding(line(room))
    with first:
        threading.Timer(0.03, first.leave.set).start()
        assert come(line(room)) is BROKEN


def test_an_own_retry_is_not_held_back_and_leaves_the_first_in_place():
    room = resource()
    with Deciding(line(room), owner="same"):
        assert come(line(room), owner="same") is BROKEN
        with pytest.raises(gate.SlotContended):
            come(line(room), owner="another")


def test_lines_are_taken_together_or_not_at_all():
    taken, free = resource(), resource()
    with Deciding(line(taken)):
        with pytest.raises(gate.SlotContended):
            come(line(free), line(taken))
        assert come(line(free), owner="c") is BROKEN


def test_the_gate_is_left_after_an_error_too():
    room = resource()

    def fail() -> Any:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        come(line(room), owner="a", work=fail)
    assert come(line(room)) is BROKEN


@pytest.mark.parametrize("stands", [True, False])
@pytest.mark.parametrize("earlier", [WON, LOST])
def test_after_a_decision_the_database_is_asked_once_and_has_the_last_word(
    monkeypatch, earlier, stands
):
    room = resource()
    come(line(room), owner="a", work=lambda: earlier)
    looks = []
    monkeypatch.setattr(gate, "_stands", lambda *asked: (looks.append(asked), stands)[1])
    assert come(line(room)) == ("told" if stands else BROKEN)
    assert len(looks) == 1
    # Another window that lies over it, and who brings a hold to replace: the claim tells them.
    assert come(line(room, 9, 11)) is BROKEN
    assert come(line(room), replaces=True) is BROKEN
    assert len(looks) == 1


def test_while_somebody_has_it_those_who_lie_over_it_do_not_wait_for_each_other():
    room = resource()
    come(line(room), owner="a", work=lambda: WON)
    with Deciding(line(room, 9, 11)):
        assert come(line(room, 8, 11)) is BROKEN


def test_a_pool_is_gated_only_once_it_has_refused_somebody():
    pool = resource("pooled")
    with Deciding(line(pool)):
        assert come(line(pool)) is BROKEN
    come(line(pool), work=lambda: LOST)
    with Deciding(line(pool), owner="c"), pytest.raises(gate.SlotContended):
        come(line(pool))
    assert come(line(pool, 12, 13)) is BROKEN


def test_a_resource_of_which_nothing_is_known_has_no_gate():
    unknown = uuid4()
    with Deciding(line(unknown)):
        assert come(line(unknown)) is BROKEN


def test_the_gate_of_a_process_that_died_opens_by_itself(monkeypatch):
    room = resource()
    monkeypatch.setattr(gate, "DECIDING_MS", 50)
    with Deciding(line(room)):
        assert come(line(room)) is BROKEN
    client = redis.Redis.from_url(settings.REDIS_URL)
    assert all(client.pttl(key) > 0 for key in client.keys("gate:*"))


@pytest.mark.parametrize("trouble", ["pause", "stop"])
def test_it_opens_when_redis_is_slow_or_gone(settings, trouble):
    room = resource()
    with own_redis() as own:
        settings.REDIS_URL = own.url
        with Deciding(line(room)):
            with pytest.raises(gate.SlotContended):
                come(line(room))
            getattr(own, trouble)()
            assert come(line(room)) is BROKEN
            assert come(line(room)) is BROKEN


@pytest.mark.django_db
def test_a_hold_stands_for_others_while_it_lasts_and_never_for_whose_it_is():
    room = make_room()
    held = hold(line(room.pk), claimant=Claimant(visitor="ana", limited=True))
    for visitor, found in (("ben", True), ("", True), ("ana", False)):
        asked = gate.Asked(room.workspace_id, [line(room.pk)], "b", visitor)
        assert gate._stands(asked, line(room.pk)) is found
    assert not gate._stands(asked, line(room.pk, 10, 11))
    lapse(held)
    assert not gate._stands(gate.Asked(room.workspace_id, [], "b", "ben"), line(room.pk))


@pytest.mark.django_db
def test_inside_a_transaction_redis_is_not_asked():
    room = resource()
    with Deciding(line(room)):
        assert come(line(room)) is BROKEN


# --- Who is alone pays nothing ------------------------------------------------------------------


class Taking:
    """Stands in front of the script that comes in, and counts who asks."""

    def __init__(self, script: Any) -> None:
        self.script, self.asked = script, 0

    def __call__(self, *arguments: Any) -> Any:
        self.asked += 1
        return self.script(*arguments)


@pytest.fixture
def taking(monkeypatch) -> Taking:
    counted = Taking(gate._TAKE)
    monkeypatch.setattr(gate, "_TAKE", counted)
    return counted


def test_who_is_alone_is_not_asked_to_come_in(taking):
    room = quiet_resource()
    assert come(line(room, 9, 10), work=lambda: WON) is WON
    assert come(line(room, 10, 11), work=lambda: WON) is WON
    with Deciding(line(room, 11, 12)):
        assert come(line(room, 12, 13)) is BROKEN
    assert taking.asked == 0


def test_the_first_of_a_crowd_goes_ahead_and_those_beside_them_come_one_at_a_time(taking):
    room = quiet_resource()
    first, second = (Deciding(line(room, n, n + 2), owner=str(n)) for n in (9, 10))
    with first, second, pytest.raises(gate.SlotContended):
        come(line(room, 10, 11), owner="third")
    assert taking.asked > 1


@pytest.mark.parametrize("answer", [WON, LOST])
def test_the_first_leaves_a_mark_for_those_behind(monkeypatch, taking, answer):
    """Also for those in another process, who have not seen it: here, before they are forgotten."""
    room = quiet_resource()
    come(line(room), work=lambda: answer)
    assert taking.asked == 0
    gate.crowds.lost([line(room)])
    monkeypatch.setattr(gate, "_stands", lambda *_: True)
    assert come(line(room)) == "told"
    assert taking.asked == 1


def test_who_comes_behind_a_loser_is_asked_and_for_a_while_only(monkeypatch, taking):
    room = quiet_resource()
    come(line(room, 9, 11), work=lambda: LOST)
    come(line(room, 11, 12))
    assert taking.asked == 0
    come(line(room, 10, 12))
    assert taking.asked == 1
    monkeypatch.setattr("holds.crowds.FOUGHT_OVER_SECONDS", -1.0)
    other = quiet_resource()
    come(line(other), work=lambda: LOST)
    come(line(other))
    assert taking.asked == 1


def test_nothing_is_left_under_way_after_an_error():
    room = quiet_resource()

    def fail() -> Any:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        come(line(room), work=fail)
    assert room not in gate.crowds._under_way


def test_it_can_be_switched_off(settings):
    settings.CONTENTION_GATE = False
    room = resource()
    with Deciding(line(room)):
        assert come(line(room)) is BROKEN
