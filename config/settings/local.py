"""One machine, for trying and developing: the settings of `manage.py up`.

DEBUG stays off even here, since with it on dj-stripe accepts forged webhooks. Keys that are not
given are made once and kept in the data folder.
"""

import secrets

from config.embedded.errors import CannotStartError
from config.embedded.run import make_folder
from config.up import environment

environment.adopt()  # the servers of a running `up`, before base reads their addresses

from config.settings.base import *  # noqa: E402, F403
from config.settings.base import DATA_DIR, PROCESS, SECRET_KEY, database, env  # noqa: E402


def _kept_secret_key() -> str:
    """The data folder's own key: made at first use, so that sessions outlive a restart."""
    path = DATA_DIR / "secret-key"
    try:
        return path.read_text().strip()
    except OSError:
        pass
    key = secrets.token_urlsafe(50)
    try:
        make_folder(DATA_DIR)
        path.touch(mode=0o600, exist_ok=True)
        path.write_text(key)
    except (CannotStartError, OSError):
        pass  # an unwritable folder is `up`'s to report; a command still runs
    return key


SECRET_KEY = SECRET_KEY or _kept_secret_key()
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
# One machine: a webhook's receiver or a calendar may stand on it.
OUTBOUND_PRIVATE_ADDRESSES = env.bool("OUTBOUND_PRIVATE_ADDRESSES", default=True)
WHITENOISE_USE_FINDERS = True
SILENCED_SYSTEM_CHECKS = ["djstripe.C001", "djstripe.I001"]
DATABASES = {
    "default": database(PROCESS, prepared=env.bool("DATABASE_PREPARED_STATEMENTS", default=True))
}
