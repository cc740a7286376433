"""Who works on calendars: a process of its own; one that hangs keeps nothing else waiting."""

from bookings.calendars import read_tasks, write_tasks
from config.celery import app
from config.up.procfile import command_lines

# What only looks for what is due, and waits for nobody outside.
LOOKS_ONLY = {"bookings.check_calendars", "bookings.read_due_calendars"}


def test_every_task_that_asks_a_calendar_is_in_their_queue() -> None:
    of_calendars = {
        name
        for name, task in app.tasks.items()
        if task.__module__ in {read_tasks.__name__, write_tasks.__name__}
    }
    assert len(of_calendars) >= 8
    assert of_calendars >= LOOKS_ONLY
    for name in of_calendars - LOOKS_ONLY:
        assert app.amqp.router.route({}, name)["queue"].name == "calendars", name
    for name in LOOKS_ONLY:
        assert app.amqp.router.route({}, name)["queue"].name == "celery"


def test_each_queue_has_its_process() -> None:
    lines = command_lines()
    assert "--queues calendars" in lines["calendars"]
    assert "--queues webhooks" in lines["hooks"]
    assert "--queues" not in lines["worker"]
