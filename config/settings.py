"""Settings. With nothing set: the embedded default (SQLite, filesystem broker, 127.0.0.1), everything under `var/`.

Set `DATABASE_URL` and `CELERY_BROKER_URL` to grow to PostgreSQL and Redis; the code is the same. Every variable that
is read here is listed in `deploy/env.example`.
"""

import os
import secrets
from ipaddress import ip_network
from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF
from kombu import Queue

from config.bootstrap.progress import private_dir
from config.logging import logging_settings

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("MIGRATION_PERSONAS_VAR", BASE_DIR / "var"))


def secret(name: str) -> str:
    """The secret from the environment, else from `var/keys/<name>`, made once and readable by its owner only."""
    if value := os.environ.get(name.upper()):
        return value
    path = private_dir(VAR_DIR / "keys") / name
    if not path.exists():
        draft = path.with_name(f"{name}.{os.getpid()}.part")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(64))
        try:
            os.link(draft, path)  # atomic: of two first starts, one wins and both read its key
        except FileExistsError:
            pass  # the other start was first: its key is the one that counts
        draft.unlink()
    return path.read_text()


def listed(name: str, default: str = "") -> list[str]:
    return [item for item in os.environ.get(name, default).split(",") if item]


private_dir(VAR_DIR)
DEBUG = os.environ.get("DEBUG", "") == "1"
SECRET_KEY = secret("secret_key")
CREDENTIALS_KEY = secret("credentials_key")  # what logins to sources are encrypted with
RECEIPT_KEY = secret("receipt_key")  # what receipts of runs are signed with
ALLOWED_HOSTS = listed("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1],testserver")
CSRF_TRUSTED_ORIGINS = listed("CSRF_TRUSTED_ORIGINS")
HTTPS = os.environ.get("HTTPS", "") == "1"  # behind TLS: secure cookies, HSTS, redirect

INSTALLED_APPS = [
    "config.apps.AssemblyConfig",
    "config.apps.ProductAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_filters",
    "django_htmx",
    "django_structlog",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "personas",
    "templates_app",
    "analyzer",
    "migrations_engine",
    "marketplace",
]

MIDDLEWARE = [
    "config.middleware.RequestIdMiddleware",
    "config.middleware.ApiProblemMiddleware",  # around all that may refuse a request
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "config.middleware.WrongMethodPageMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "config" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.navigation.navigation",
            ],
            "builtins": ["config.templatetags.components"],
        },
    }
]

# --- database, broker ------------------------------------------------------------------------------------------------

DATABASES = {
    "default": dj_database_url.config(default=f"sqlite:///{VAR_DIR / 'db.sqlite3'}", conn_max_age=60)
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",  # a read that later writes would otherwise fail with "database is locked"
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
    DATABASES["default"]["CONN_MAX_AGE"] = 0  # threads of the worker come and go
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

BROKER_DIR = VAR_DIR / "broker"
CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL", "filesystem://")
if CELERY_BROKER_URL.startswith("filesystem"):
    for box in ("queue", "processed", "control"):
        private_dir(BROKER_DIR / box)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(BROKER_DIR / "queue"),
        "data_folder_out": str(BROKER_DIR / "queue"),
        "control_folder": str(BROKER_DIR / "control"),
        "store_processed": False,
        "polling_interval": 0.1,  # else a worker looks once a second, and takes one message then
    }
else:
    CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 6 * 3600}  # longer than the longest step
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_ENABLE_UTC = True
CELERY_TIMEZONE = "UTC"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat-schedule")
# What the clock asks for has a queue of its own: workers take turns between the two, so that a sweep does not stand
# behind a hundred steps until it expires. Where steps take hours, a worker for it alone: deploy/README.md
CELERY_TASK_DEFAULT_QUEUE = "celery"
CELERY_TASK_QUEUES = [Queue("celery"), Queue("clock")]
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "migrations_engine.sweep", "schedule": 5.0, "options": {"expires": 10}},
    "webhooks": {"task": "migrations_engine.send_webhooks", "schedule": 5.0, "options": {"expires": 10}},
    "waves": {"task": "migrations_engine.dispatch_waves", "schedule": 5.0, "options": {"expires": 10}},
    "marketplace-catalogues": {"task": "marketplace.catalogues", "schedule": 3600.0, "options": {"expires": 1800}},
    "marketplace-settle": {"task": "marketplace.settle", "schedule": 15.0, "options": {"expires": 30}},
    "marketplace-renew": {"task": "marketplace.renew", "schedule": 60.0, "options": {"expires": 60}},
    "analyzer-sweep": {"task": "analyzer.sweep", "schedule": 10.0, "options": {"expires": 20}},
    "analyzer-rescan": {"task": "analyzer.rescan", "schedule": 600.0, "options": {"expires": 600}},
    "analyzer-fleet": {"task": "analyzer.fleet", "schedule": 900.0, "options": {"expires": 900}},
    "analyzer-collect-usage": {"task": "analyzer.collect_usage", "schedule": 900.0, "options": {"expires": 900}},
    "analyzer-roll-up": {"task": "analyzer.roll_up", "schedule": 6 * 3600.0, "options": {"expires": 3600}},
}
for _entry in CELERY_BEAT_SCHEDULE.values():
    _entry["options"]["queue"] = "clock"

# --- people and safety -----------------------------------------------------------------------------------------------

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],  # Tabler's CSS carries its icons as data: URLs
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 2**20
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20

# --- pages, API ------------------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = private_dir(VAR_DIR / "static")
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True  # no collectstatic needed for the embedded default

FILTERS_EMPTY_CHOICE_LABEL = "Any"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "personas.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["personas.permissions.DepartmentPermission"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["personas.api.parsers.ShallowJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "config.pagination.Pages",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "rest_framework.filters.SearchFilter",
        "rest_framework.filters.OrderingFilter",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "config.problems.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Migration Personas",
    "DESCRIPTION": "Moves virtual machines as if a given department had moved them.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"docExpansion": "none", "filter": True, "deepLinking": True},  # 280 operations
    "SCHEMA_PATH_PREFIX": "/api/v1",  # a group for each resource
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "IntentEnum": "personas.models.settings_columns.INTENTS",
        "RecommendationStateEnum": "analyzer.models.recommendation.RecommendationState",
        "ScanStateEnum": "analyzer.models.scan.ScanState",
        "StepStateEnum": "migrations_engine.domain.states.StepState",
        "RunStateEnum": "migrations_engine.models.run.RUN_STATES",
        "ListenerKindEnum": "migrations_engine.models.webhook.KINDS",
        "WebhookEventEnum": "migrations_engine.models.webhook.EVENTS",
        "DeliveryStateEnum": "migrations_engine.models.webhook.DELIVERY_STATES",
        "WaveStateEnum": "migrations_engine.models.wave.WAVE_STATES",
        "WaveMemberStateEnum": "migrations_engine.models.wave.MEMBER_STATES",
        "SubscriptionStateEnum": "marketplace.models.subscription.SUBSCRIPTION_STATES",
        "SubmissionStateEnum": "marketplace.models.submission.SubmissionState",
        "OrderStateEnum": "marketplace.models.order.ORDER_STATES",
        "PriceKindEnum": "marketplace.models.order.PRICE_KINDS",
        "AccountKindEnum": "marketplace.models.ledger.AccountKind",
        "TargetKindEnum": "templates_app.models.template.TargetKind",
    },
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
}

# --- money: without these, orders are paid by credits or by invoice --------------------------------------------------

STRIPE_SECRET_KEY = os.environ.get("STRIPE_SECRET_KEY", "")
STRIPE_WEBHOOK_SECRET = os.environ.get("STRIPE_WEBHOOK_SECRET", "")
STRIPE_API_BASE = os.environ.get("STRIPE_API_BASE", "")  # empty: Stripe itself; else a server that plays it

LOGGING = logging_settings(level=os.environ.get("LOG_LEVEL", "INFO"))
DJANGO_STRUCTLOG_CELERY_ENABLED = True
DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = True  # RequestIdMiddleware has let through or drawn it

# --- the marketplace: other instances ---------------------------------------------------------------------------------

SIGNING_SECRET = secret("signing_secret")  # encrypts the private keys that releases and the feed are signed with
# Networks of our own that an address typed by a person may lead to, as in 10.20.0.0/16: an in-house catalogue
NOTIFY_SCHEMES = frozenset(
    listed("NOTIFY_SCHEMES") or ["mailtos", "slack", "msteams", "discord", "gotifys", "ntfys", "mmosts", "matrixs"]
)  # services that people may be told by; those over TLS that have no way to a file or program
OUTBOUND_PRIVATE_NETWORKS = [ip_network(each) for each in listed("OUTBOUND_PRIVATE_NETWORKS")]

# --- the work --------------------------------------------------------------------------------------------------------

DISKS_DIR = VAR_DIR / "disks"  # a target's machines and their disks
CACHE_DIR = VAR_DIR / "cache"  # sample guests, probes: can be deleted at any time
IMAGE_ROOTS = [
    Path(p) for p in listed("IMAGE_ROOTS", str(VAR_DIR / "images"))
]  # the only places a disk is read from
STAGING_DIR = VAR_DIR / "staging"  # disks fetched from a hypervisor, as long as a scan or a run needs them
# Where the QEMU of a hypervisor may make the socket through which a running machine's disks are read
LIBVIRT_SOCKET_FOLDER = os.environ.get("LIBVIRT_SOCKET_FOLDER", "/var/lib/libvirt/qemu")
CUTOVER_SHUTDOWN_S = float(os.environ.get("CUTOVER_SHUTDOWN_S", "300"))  # a database flushes for minutes
CUTOVER_DECIDE_S = float(os.environ.get("CUTOVER_DECIDE_S", "3600"))  # then a source that stays on is left alone
LEASE_S = float(os.environ.get("LEASE_S", "30"))  # a step that is silent for so long is taken over
USAGE_RAW_DAYS = int(os.environ.get("USAGE_RAW_DAYS", "42"))  # six weeks: what right-sizing looks at
USAGE_KEEP_DAYS = int(os.environ.get("USAGE_KEEP_DAYS", "400"))  # by the hour: a year and its yearly peak
RUNS_WAITING = int(os.environ.get("RUNS_WAITING", "16"))  # sent ahead of the workers: twice their number, at least
WAVE_RUNS_AT_ONCE = int(os.environ.get("WAVE_RUNS_AT_ONCE", "16"))  # of all waves together; departments take turns
