"""A real OpenID Connect provider for the tests: Django with django-oauth-toolkit."""

ROWS, ORIGIN = "PROVIDER_ROWS", "PROVIDER_ORIGIN"
"""Variables of its environment: the file of its database, and its own address without a path."""

CLIENT, SECRET = "zk-pipeline", "the secret of the client"
PASSWORD = "the password at the provider"
PEOPLE = {"ada": "operator", "eve": ""}
"""Who may sign in there, and the group that our role claim holds."""
