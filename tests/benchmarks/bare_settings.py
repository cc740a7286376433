"""Django with nothing but a database: no middleware, no apps."""

from config.settings.test import *  # noqa: F403

INSTALLED_APPS: list[str] = []
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "tests.benchmarks.bare"
