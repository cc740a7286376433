"""The product's own Django, its apps and its middleware with one bare view."""

from config.settings.test import *  # noqa: F403

ROOT_URLCONF = "tests.benchmarks.within"
