"""The WSGI application that granian serves."""

import os
from threading import Thread

from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.utils.module_loading import import_string

from config.bodies import sized

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

application = sized(get_wsgi_application())


def _warm() -> None:
    """Imported now that the apps are ready; a request that comes first does not wait for it."""
    import_string("bookings.timetable.warm_calendars")()
    connections.close_all()


Thread(target=_warm, daemon=True).start()
