"""Beat's tidying of holds."""

from celery import shared_task

from holds import services


@shared_task(name="holds.tidy_lapsed")
def tidy_lapsed() -> int:
    """Expire what has lapsed, each once; what is stuck or came since is the next run's."""
    return services.expire_lapsed()
