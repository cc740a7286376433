"""Settings, addresses, Celery and the kernel that every app may use."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
