"""Beat's tidying of holds."""

from celery import shared_task

from holds import offering, services
from holds.models import FreedTime

# One run's time: so that a worker has its other tasks to do, however much has lapsed.
TIDYING_SECONDS = 4.0


@shared_task(name="holds.tidy_lapsed")
def tidy_lapsed() -> int:
    """Expire what has lapsed, each once; what is stuck or came since is the next run's."""
    return services.expire_lapsed(limit=None, seconds=TIDYING_SECONDS)


@shared_task(name="holds.offer_freed")
def offer_freed(freed_id: str) -> int:
    """Something was freed where somebody waits; gone means that the line was looked along since."""
    freed = FreedTime.objects.filter(pk=freed_id).first()
    return offering.offer(freed.resource_id) if freed else 0


@shared_task(name="holds.sweep_waitlist")
def sweep_waitlist() -> int:
    """Look along every line: what no kick told of, and what frees itself without one."""
    return offering.sweep()
