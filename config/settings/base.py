"""What every environment shares. Each value comes from the environment or is safe as it stands.

The table of variables is in docs/settings.md; nothing here reads a file.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import environ

from config.settings.unfold import UNFOLD  # noqa: F401

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent.parent

# Which of the Procfile's processes this is: web, worker, beat, release, or "" (a command).
# Each may have a database role of its own, so that its timeouts are the role's (design.md §3).
PROCESS = env.str("SUREHOLD_PROCESS", default="")

DEBUG = False
SECRET_KEY = env.str("SECRET_KEY", default="")
# Former keys, while they are being replaced: what was signed or sealed with them is still read.
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", default=[])
# Passwords of calendars and secrets of webhooks are kept encrypted, with keys made of the secret
# keys above and this. Another value makes what is kept unreadable.
SALT_KEY = env.str("SALT_KEY", default="surehold.kept-secrets")
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Where members reach the site; links in mails start with it.
SITE_URL = env.str("SITE_URL", default="http://localhost:8000").rstrip("/")
DATA_DIR = Path(env.str("SUREHOLD_DATA_DIR", default=str(BASE_DIR / ".surehold")))

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "pgtrigger",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "djstripe",
    "config",
    "members",
    "bookings",
    "holds",
    "payments",
]

MIDDLEWARE = [
    "config.middleware.RequestIdMiddleware",
    "config.cors.CorsMiddleware",
    "config.api_errors.ApiProblemMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "payments.attempts.FailedAttemptMiddleware",
    "bookings.last_answers.LastAnswerMiddleware",
    "config.middleware.UnavailableMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "config.middleware.ContentSecurityMiddleware",
    "members.visitors.VisitorMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "members.frames.in_forms",
            ],
        },
    }
]

# --- Database: PostgreSQL is the only truth -------------------------------------------------


def database(process: str, *, prepared: bool) -> dict[str, Any]:
    """The connection of one process; `DATABASE_URL_WEB` (…_WORKER, …) wins over `DATABASE_URL`.

    `prepared`: repeated statements are planned once per connection. A PgBouncer that does not know
    prepared statements needs it off.
    """
    own = f"DATABASE_URL_{process.upper()}" if process else ""
    url = env.str(own, default="") if own else ""
    config: dict[str, Any] = env.db_url_config(
        url or env.str("DATABASE_URL", default="postgres:///surehold")
    )
    config["ENGINE"] = "django.db.backends.postgresql"
    config["ATOMIC_REQUESTS"] = False
    config["CONN_MAX_AGE"] = 0
    # PgBouncer in transaction mode must work: no server-side cursors, no start-up options.
    config["DISABLE_SERVER_SIDE_CURSORS"] = True
    options: dict[str, Any] = dict(config.get("OPTIONS", {}))
    options.setdefault("connect_timeout", 3)
    if process in {"web", "worker"}:
        options["pool"] = {
            "min_size": 1,
            "max_size": env.int("DATABASE_POOL_SIZE", default=10),
            "timeout": 3,
        }
    if prepared:
        options["server_side_binding"] = True
        options["prepare_threshold"] = 3
    config["OPTIONS"] = options
    return config


DATABASE_PREPARED_STATEMENTS = env.bool("DATABASE_PREPARED_STATEMENTS", default=False)
DATABASES = {"default": database(PROCESS, prepared=DATABASE_PREPARED_STATEMENTS)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis: speed only; everything works without it ---------------------------------------------
REDIS_URL = env.str("REDIS_URL", default="redis://127.0.0.1:6379/0")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"socket_timeout": 0.25, "socket_connect_timeout": 0.25},
    }
}

# A crowd that wants one slot waits before it, without database connections (docs/adr/0007).
CONTENTION_GATE = env.bool("CONTENTION_GATE", default=True)

# How long pages and the API may remember what is taken; 0: not at all. A claim never does.
AVAILABILITY_CACHE_SECONDS = env.int("AVAILABILITY_CACHE_SECONDS", default=30)

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
# A dead broker never holds up a committed request: no publish retry, sub-second timeouts.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_CONNECTION_TIMEOUT = 0.5
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 0.5,
    "socket_connect_timeout": 0.5,
    "visibility_timeout": 3600,
}
# Subscribers may be slow: they have a process of their own (Procfile), so that no other task waits.
# What waits for somebody else's server has queues and processes of its own: a calendar or a
# subscriber that hangs keeps no mail and no settlement waiting.
_CALENDAR_TASKS = [
    "bookings.check_calendar",
    "bookings.leave_calendar",
    "bookings.read_calendar",
    "bookings.sweep_calendar_events",
    "bookings.write_calendar_event",
    "bookings.write_calendars_of",
]
CELERY_TASK_ROUTES = {
    "members.send_webhooks": {"queue": "webhooks"},
    **{task: {"queue": "calendars"} for task in _CALENDAR_TASKS},
}
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE: dict[str, Any] = {
    "holds-tidy-lapsed": {
        "task": "holds.tidy_lapsed",
        "schedule": timedelta(seconds=5),
        "options": {"expires": 5},
    },
    "holds-sweep-waitlist": {
        "task": "holds.sweep_waitlist",
        "schedule": timedelta(seconds=15),
        "options": {"expires": 15},
    },
    "bookings-sweep-calendar-events": {
        "task": "bookings.sweep_calendar_events",
        "schedule": timedelta(seconds=10),
        "options": {"expires": 10},
    },
    "bookings-check-calendars": {
        "task": "bookings.check_calendars",
        "schedule": timedelta(seconds=60),
        "options": {"expires": 60},
    },
    "bookings-read-calendars": {
        "task": "bookings.read_due_calendars",
        "schedule": timedelta(seconds=10),
        "options": {"expires": 10},
    },
    "payments-sweep": {
        "task": "payments.sweep",
        "schedule": timedelta(seconds=10),
        "options": {"expires": 10},  # one that could not start in time is not needed any more
    },
    "payments-incidents": {
        "task": "payments.sweep_incidents",
        "schedule": timedelta(minutes=1),
    },
    "payments-reconcile": {
        "task": "payments.reconcile",  # each check has an interval of its own: a minute to an hour
        "schedule": timedelta(minutes=1),
        "options": {"expires": 60},
    },
    "payments-expire-credit": {"task": "payments.expire_credit", "schedule": timedelta(minutes=5)},
    "payments-purge": {"task": "payments.purge", "schedule": timedelta(hours=1)},
    "members-send-due-mail": {"task": "members.send_due_mail", "schedule": timedelta(seconds=10)},
    "members-send-due-webhooks": {
        "task": "members.send_due_webhooks",
        "schedule": timedelta(seconds=10),
        "options": {"expires": 10},
    },
    "members-purge-webhooks": {"task": "members.purge_webhooks", "schedule": timedelta(hours=1)},
    "bookings-remind": {"task": "bookings.remind", "schedule": timedelta(minutes=5)},
    "bookings-complete": {"task": "bookings.complete_past", "schedule": timedelta(minutes=5)},
}

# How long what is over is kept: holds that no money was attached to, and answers for repeats (never
# less than 7 days). Bookings, their history and money are kept.
HOLDS_KEPT_DAYS = env.int("HOLDS_KEPT_DAYS", default=7)
IDEMPOTENCY_KEYS_KEPT_DAYS = env.int("IDEMPOTENCY_KEYS_KEPT_DAYS", default=7)
# What subscribers were told, with every attempt; never less than 4 days.
WEBHOOKS_KEPT_DAYS = env.int("WEBHOOKS_KEPT_DAYS", default=30)
# The threads of the process `hooks` (Procfile): half of them are for who answers fast.
WEBHOOK_THREADS = env.int("WEBHOOK_THREADS", default=8)

# --- People -----------------------------------------------------------------------------------
AUTH_USER_MODEL = "members.Member"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "sesame.backends.ModelBackend",
]
LOGIN_URL = "/sign-in/"
LOGIN_REDIRECT_URL = "/my/"
SESAME_MAX_AGE = timedelta(minutes=30)
SESAME_ONE_TIME = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

# --- Mail ---------------------------------------------------------------------------------------
_email: dict[str, Any] = env.email_url("EMAIL_URL", default="smtp://127.0.0.1:1025")
EMAIL_BACKEND = _email.get("EMAIL_BACKEND", "django.core.mail.backends.smtp.EmailBackend")
EMAIL_HOST = _email.get("EMAIL_HOST", "")
EMAIL_PORT = _email.get("EMAIL_PORT", 25)
EMAIL_HOST_USER = _email.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = _email.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = _email.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = _email.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Surehold <bookings@localhost>")

# --- Stripe -------------------------------------------------------------------------------------
STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", default="")
STRIPE_HOST = env.str("STRIPE_API_HOST", default="https://api.stripe.com").rstrip("/")
if STRIPE_HOST != "https://api.stripe.com":
    STRIPE_API_HOST = STRIPE_HOST  # dj-stripe's name for it; its check objects when it is set
STRIPE_LIVE_MODE = STRIPE_SECRET_KEY.startswith(("sk_live_", "rk_live_"))
STRIPE_TEST_SECRET_KEY = "" if STRIPE_LIVE_MODE else STRIPE_SECRET_KEY
STRIPE_LIVE_SECRET_KEY = STRIPE_SECRET_KEY if STRIPE_LIVE_MODE else ""
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
# Connect and read timeouts in seconds, never Stripe's default of 80 (facts: stripe-python).
STRIPE_TIMEOUT = (3, env.int("STRIPE_READ_TIMEOUT", default=10))

# --- Addresses that others choose: webhooks, calendars, feeds (config/kernel/outbound.py) ---------
OUTBOUND_PRIVATE_ADDRESSES = env.bool("OUTBOUND_PRIVATE_ADDRESSES", default=False)
# The longest that a claim, or a payment, waits for connected calendars to be read again.
CALENDAR_REFRESH_SECONDS = env.float("CALENDAR_REFRESH_SECONDS", default=2.0)

# What one address may ask by the minute with publishable keys (members/visitor_rates.py).
VISITOR_READS_PER_MINUTE = env.int("VISITOR_READS_PER_MINUTE", default=240)
VISITOR_WRITES_PER_MINUTE = env.int("VISITOR_WRITES_PER_MINUTE", default=60)

# --- Google Calendar (docs/calendars.md): without a client it cannot be connected ----------------
GOOGLE_CLIENT_ID = env.str("GOOGLE_CLIENT_ID", default="")
GOOGLE_CLIENT_SECRET = env.str("GOOGLE_CLIENT_SECRET", default="")
GOOGLE_AUTHORIZE_URL = env.str(
    "GOOGLE_AUTHORIZE_URL", default="https://accounts.google.com/o/oauth2/v2/auth"
)
GOOGLE_TOKEN_URL = env.str("GOOGLE_TOKEN_URL", default="https://oauth2.googleapis.com/token")
GOOGLE_REVOKE_URL = env.str("GOOGLE_REVOKE_URL", default="https://oauth2.googleapis.com/revoke")
GOOGLE_CALDAV_URL = env.str(
    "GOOGLE_CALDAV_URL", default="https://apidata.googleusercontent.com/caldav/v2/"
)

# What may read /metrics; without it there is no such page.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")

# --- API ----------------------------------------------------------------------------------------
# For one key, unless the key has a limit of its own; 0: no limit.
API_REQUESTS_PER_MINUTE = env.int("API_REQUESTS_PER_MINUTE", default=10_000)
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["members.api_auth.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["members.api_auth.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "config.openapi.describing.Operations",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "config.negotiation.NeverRefused",
    "EXCEPTION_HANDLER": "config.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Surehold API",
    "DESCRIPTION": "Hold, pay and confirm time on resources.",
    # Of the description, in docs/api-changelog.md.
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.openapi.describing.completed",
    ],
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "TAGS": [
        {"name": "resources", "description": "What can be booked, when, and for how much."},
        {"name": "holds", "description": "Taking a slot for a while, and paying for it."},
        {"name": "bookings", "description": "What came of it, and what becomes of it."},
        {"name": "waitlist", "description": "Waiting for a time that is taken."},
        {"name": "credit", "description": "What a workspace owes a member."},
        {"name": "webhooks", "description": "Who is told what happens, and what they were told."},
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "BookingState": "bookings.api_schemas.BOOKING_STATE",
        "HoldState": "holds.api_schemas.HOLD_STATE",
        "ChangeState": "bookings.api_schemas.CHANGE_STATE",
        "RescheduledState": "payments.api_schemas_reschedule.RESCHEDULED_STATE",
        "PaymentState": "payments.api_schemas.PAYMENT_STATE",
        "ResourceMode": "bookings.models.Resource.Mode",
        "PriceKind": "bookings.models.PriceRule.Kind",
        "WebhookEndpointState": "members.api_schemas_webhooks.ENDPOINT_STATE",
        "WebhookDeliveryState": "members.api_schemas_webhooks.DELIVERY_STATE",
        "WebhookType": "members.api_schemas_webhooks.TYPE",
        "RefundTo": "payments.models.Refund.To",
        "RefundAsked": "payments.models.refunds.ASKED",
        "RefundCause": "payments.models.Refund.Cause",
        "RefundState": "payments.api_schemas_money_back.REFUND_STATE",
        "CreditKind": "payments.models.CreditEntry.Kind",
        "BookingUnit": "bookings.models.Resource.Unit",
        "ResourceVisibility": "bookings.models.Resource.Visibility",
        "OfferPriceKind": "bookings.models.AddOn.PriceKind",
        "WaitlistState": "holds.api_schemas_waitlist.WAITLIST_STATE",
        "CancelRefund": "payments.api_schemas_money_back.CANCEL_REFUND",
        "RescheduleDifference": "payments.api_schemas_reschedule.RESCHEDULE_DIFFERENCE",
    },
}

# --- Pages --------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(DATA_DIR / "static")))
MEDIA_URL = "/media/"
MEDIA_ROOT = Path(env.str("MEDIA_ROOT", default=str(DATA_DIR / "media")))

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "filters": {"tokens": {"()": "config.logs.WithoutTokens"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["tokens"],
        }
    },
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "stripe": {"level": "WARNING"},
        # A line for every task of every few seconds hides what matters.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
