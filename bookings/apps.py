from django.apps import AppConfig


class BookingsConfig(AppConfig):
    name = "bookings"

    def ready(self) -> None:
        from bookings import calendar_effects, effects, freshness  # noqa: F401  (registers them)

        freshness.watch_blocks()
