"""One machine, for trying and developing: the settings of `manage.py up`.

DEBUG stays off even here, since with it on dj-stripe accepts forged webhooks. Keys that are not
given are made once and kept in the data folder.
"""

import secrets

from config.settings.base import *  # noqa: F403
from config.settings.base import DATA_DIR, INSTALLED_APPS, SECRET_KEY, env


def _kept_secret_key() -> str:
    """The data folder's own key: made at first use, so that sessions outlive a restart."""
    path = DATA_DIR / "secret-key"
    try:
        return path.read_text().strip()
    except OSError:
        pass
    key = secrets.token_urlsafe(50)
    try:
        DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=True)
        path.write_text(key)
    except OSError:
        pass  # an unwritable folder is `up`'s to report; a command still runs
    return key


SECRET_KEY = SECRET_KEY or _kept_secret_key()
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
WHITENOISE_USE_FINDERS = True
SILENCED_SYSTEM_CHECKS = ["djstripe.C001", "djstripe.I001"]
