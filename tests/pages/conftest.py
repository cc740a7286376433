"""Browsers that are made to prove that a form is ours, as real ones are."""

import pytest
from django.test import Client


@pytest.fixture
def client(db: None) -> Client:
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def another(db: None) -> Client:
    """Somebody else's browser."""
    return Client(enforce_csrf_checks=True)
