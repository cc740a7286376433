"""The Celery application of worker and beat, and of everyone who kicks a task."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

app = Celery("surehold")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
