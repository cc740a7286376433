"""Our endpoints at Stripe: made once, kept, moved with the site, made again when lost."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from djstripe.models import Account, APIKey, WebhookEndpoint

from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db


def _ensure(*step: str) -> dict[str, str]:
    output = StringIO()
    call_command("ensure_webhook_endpoints", *step, stdout=output)
    return dict(line.split(": ") for line in output.getvalue().splitlines())


def _at_stripe(sandbox: SandboxClient) -> dict[str, str]:
    found = sandbox.api("GET", "/v1/webhook_endpoints?limit=100").json()["data"]
    return {endpoint["id"]: endpoint["url"] for endpoint in found}


def test_each_gets_its_own_secret_and_is_kept(sandbox: SandboxClient) -> None:
    assert _ensure() == {"platform": "created", "connect": "created"}
    rows = list(WebhookEndpoint.objects.all())
    assert len({row.secret for row in rows if row.secret.startswith("whsec_")}) == 2
    assert {row.id: row.url for row in rows} == _at_stripe(sandbox)
    assert {row.djstripe_validation_method for row in rows} == {"verify_signature"}
    assert all(str(row.djstripe_uuid) in row.url for row in rows)
    assert not any("secret" in row.stripe_data for row in rows)
    platform = Account.objects.get()
    assert {row.djstripe_owner_account for row in rows} == {platform}
    assert APIKey.objects.get().djstripe_owner_account == platform
    assert _ensure() == {"platform": "kept", "connect": "kept"}
    assert len(_at_stripe(sandbox)) == 2


def test_they_follow_the_site_and_keep_their_secrets(sandbox: SandboxClient, settings) -> None:
    _ensure()
    secrets = set(WebhookEndpoint.objects.values_list("id", "secret"))
    settings.SITE_URL = "http://127.0.0.1:8001"
    assert _ensure() == {"platform": "updated", "connect": "updated"}
    assert all(url.startswith("http://127.0.0.1:8001/") for url in _at_stripe(sandbox).values())
    assert dict(WebhookEndpoint.objects.values_list("id", "url")) == _at_stripe(sandbox)
    assert set(WebhookEndpoint.objects.values_list("id", "secret")) == secrets


def test_lost_at_stripe_they_are_made_again(sandbox: SandboxClient) -> None:
    _ensure()
    sandbox.reset()
    assert _ensure() == {"platform": "created again", "connect": "created again"}
    assert dict(WebhookEndpoint.objects.values_list("id", "url")) == _at_stripe(sandbox)


def test_stripe_gone_is_one_clear_error(settings) -> None:
    settings.STRIPE_HOST = "http://127.0.0.1:9"
    with pytest.raises(CommandError, match="Stripe refused"):
        _ensure()
    assert not WebhookEndpoint.objects.exists()


def test_new_secrets_beside_the_old_ones_and_then_alone(sandbox: SandboxClient) -> None:
    _ensure()
    old = dict(WebhookEndpoint.objects.values_list("id", "secret"))
    both = "created beside the old one"
    assert _ensure("--rotate") == {"platform": both, "connect": both}
    rows = dict(WebhookEndpoint.objects.values_list("id", "secret"))
    assert len(set(rows.values())) == 4
    assert set(rows) == set(_at_stripe(sandbox))
    assert _ensure() == {"platform": "kept", "connect": "kept"}
    assert _ensure("--retire") == {"platform": "1 deleted", "connect": "1 deleted"}
    left = dict(WebhookEndpoint.objects.values_list("id", "secret"))
    assert left == {key: secret for key, secret in rows.items() if key not in old}
    assert set(left) == set(_at_stripe(sandbox))
    nothing = "nothing to retire"
    assert _ensure("--retire") == {"platform": nothing, "connect": nothing}


def test_endpoints_that_no_row_knows_are_retired_and_others_are_left(
    sandbox: SandboxClient, settings
) -> None:
    _ensure()
    WebhookEndpoint.objects.all().delete()  # a restored backup has never heard of them
    _ensure()
    site = settings.SITE_URL
    settings.SITE_URL = "https://staging.example.com"
    _ensure("--rotate")
    staging = set(WebhookEndpoint.objects.filter(url__startswith="https://").values_list("id"))
    WebhookEndpoint.objects.filter(url__startswith="https://").delete()
    settings.SITE_URL = site
    assert len(_at_stripe(sandbox)) == 6
    assert _ensure("--retire") == {"platform": "1 deleted", "connect": "1 deleted"}
    known = set(WebhookEndpoint.objects.values_list("id"))
    assert {(each,) for each in _at_stripe(sandbox)} == known | staging


def test_with_nothing_to_keep_nothing_is_retired(sandbox: SandboxClient) -> None:
    with pytest.raises(CommandError, match="no endpoint for platform"):
        _ensure("--retire")


def test_a_replaced_secret_key_is_forgotten(sandbox: SandboxClient) -> None:
    """dj-stripe asks with the key in its table: after a rotation it would be a revoked one."""
    _ensure()
    account = Account.objects.get()
    APIKey.objects.update(secret="sk_test_0123456789replaced0123456789")
    assert _ensure() == {"platform": "kept", "connect": "kept"}
    assert [key.secret for key in APIKey.objects.all()] == [sandbox.secret_key]
    assert account.default_api_key == sandbox.secret_key
