"""The test suite's settings: tests/conftest.py starts real servers and fills the environment."""

from config.settings.base import *  # noqa: F403
from config.settings.base import PROCESS, database, env

SECRET_KEY = "for-tests-only-not-a-secret-" + "x" * 30
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "testserver"]
OUTBOUND_PRIVATE_ADDRESSES = True  # the tests' servers are on this machine
# Benchmarks and crowds come with one key; what counting costs is the same at any limit.
API_REQUESTS_PER_MINUTE = env.int("API_REQUESTS_PER_MINUTE", default=10_000_000)
WHITENOISE_USE_FINDERS = True
# dj-stripe's tables from its models: half a second instead of half a minute.
MIGRATION_MODULES = {"djstripe": None}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DATABASES = {
    "default": database(PROCESS, prepared=env.bool("DATABASE_PREPARED_STATEMENTS", default=True))
}
