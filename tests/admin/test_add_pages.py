"""The pages on which something is made say nothing of a row that there is not yet."""

import pytest
from django.db.models import Model

from bookings.models import CalendarConnection, CalendarFeed
from members.models import ApiKey
from members.webhook_models import WebhookEndpoint
from tests.admin.conftest import SignIn
from tests.admin.support import add


@pytest.mark.parametrize("model", [ApiKey, CalendarConnection, CalendarFeed, WebhookEndpoint])
def test_no_page_shows_a_value_that_only_the_database_knows(
    as_role: SignIn, model: type[Model]
) -> None:
    page = as_role("owner").get(add(model))
    assert page.status_code == 200
    assert "DatabaseDefault" not in page.content.decode()
    assert "How it stands" not in page.content.decode()
