from django.apps import AppConfig


class HoldsConfig(AppConfig):
    name = "holds"

    def ready(self) -> None:
        from holds import effects  # noqa: F401  (registers them)
