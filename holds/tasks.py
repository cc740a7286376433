"""Beat's tidying of holds."""

from celery import shared_task

from holds import services


@shared_task(name="holds.tidy_lapsed")
def tidy_lapsed() -> int:
    """Expire what has lapsed, in small batches, until there is nothing left to do."""
    ended = 0
    while batch := services.expire_lapsed(limit=100):
        ended += batch
    return ended
