"""The addresses of the provider, and the claims that it makes."""

from typing import Any

from django.contrib.auth.views import LoginView
from django.urls import include, path
from oauth2_provider.oauth2_validators import OAuth2Validator

urlpatterns = [path("o/", include("oauth2_provider.urls")), path("login/", LoginView.as_view())]


class Claims(OAuth2Validator):
    """Tells the address, the name, and as our role claim the groups of a person, whatever scope is asked for."""

    oidc_claim_scope = None

    def get_additional_claims(self, request: Any) -> dict[str, Any]:
        user = request.user
        roles = [group.name for group in user.groups.all()]
        return {"email": user.email, "email_verified": True, "name": user.first_name, "zk_role": roles}
