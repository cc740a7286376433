import pytest
@pytest.fixture(autouse=True)
def _tmp(settings):
    settings.ROOT_URLCONF = "tests.money.urls_tmp"
