"""The settings of the provider, as Django reads them."""

import os

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from zk_pipeline_tests.web.provider_site import ORIGIN, ROWS

_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
_LOGIN = '<form method="post">{% csrf_token %}{{ form }}<input type="hidden" name="next" value="{{ next }}"></form>'
_LOADERS = [("django.template.loaders.locmem.Loader", {"registration/login.html": _LOGIN})]
_SITE = "zk_pipeline_tests.web.provider_site.site"

SECRET_KEY = "of a provider that lasts for a test"
ALLOWED_HOSTS = ["127.0.0.1"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ[ROWS]}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "oauth2_provider",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {"loaders": _LOADERS}}]
ROOT_URLCONF = _SITE
LOGIN_URL = "/login/"
USE_TZ = True
OAUTH2_PROVIDER = {
    "OIDC_ENABLED": True,
    "OIDC_ISS_ENDPOINT": f"{os.environ[ORIGIN]}/o",
    "OIDC_RSA_PRIVATE_KEY": _KEY.decode(),
    "OAUTH2_VALIDATOR_CLASS": f"{_SITE}.Claims",
    "SCOPES": {"openid": "", "email": "", "profile": ""},
}
