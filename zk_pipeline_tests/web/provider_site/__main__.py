"""Serves the provider at a port, on a database that it makes."""

import os
import sys
from wsgiref.simple_server import make_server

import django
from django.apps import apps
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

from zk_pipeline_tests.web.provider_site import CLIENT, PASSWORD, PEOPLE, SECRET


def fill() -> None:
    """Make people with their groups, and us as a client."""
    users, groups = apps.get_model("auth", "User").objects, apps.get_model("auth", "Group").objects
    for name, role in PEOPLE.items():
        user = users.create_user(name, f"{name.title()}@example.com", PASSWORD, first_name=name.title())
        if role:
            user.groups.add(groups.create(name=role))
    clients = apps.get_model("oauth2_provider", "Application")
    clients.objects.create(
        client_id=CLIENT,
        client_secret=SECRET,
        client_type=clients.CLIENT_CONFIDENTIAL,
        authorization_grant_type=clients.GRANT_AUTHORIZATION_CODE,
        algorithm=clients.RS256_ALGORITHM,
        skip_authorization=True,
        redirect_uris="http://127.0.0.1/",
    )


os.environ["DJANGO_SETTINGS_MODULE"] = "zk_pipeline_tests.web.provider_site.settings"
django.setup()
call_command("migrate", verbosity=0)
fill()
make_server("127.0.0.1", int(sys.argv[1]), get_wsgi_application()).serve_forever()
