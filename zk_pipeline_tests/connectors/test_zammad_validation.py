"""What `validate` says of an account of Zammad, and how long a retry waits."""

from collections.abc import Callable

import pytest

from zk_pipeline.connectors.checks import Finding
from zk_pipeline.connectors.zammad.connector import ZammadConnector
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline_tests.connectors.conftest import DAY, Connect, Pauses
from zk_pipeline_tests.connectors.test_zammad import hidden_ticket
from zk_sandbox.client import SandboxControl
from zk_sandbox.zammad import ZammadServer


def without(*permissions: str) -> Callable[[ZammadServer], None]:
    """Take permissions from the account and its token."""

    def take(zammad: ZammadServer) -> None:
        token = next(iter(zammad.state.tokens.values()))
        for holder in (token, zammad.state.users[token.user_id]):
            holder.permissions = [name for name in holder.permissions if name not in permissions]

    return take


class TestValidation:
    def test_a_good_account_passes_everything(self, source: ZammadConnector, zammad: ZammadServer) -> None:
        zammad.book(zammad.add_ticket("Printer on fire"), 1, 1, at=DAY)
        validation = source.validate()
        assert {finding.level for finding in validation.findings} == {Level.PASS}
        assert (validation.version, validation.account, validation.timezone) == (None, "zk-sync@example.net", None)

    def test_an_empty_list_of_organizations_proves_nothing(
        self, source: ZammadConnector, zammad: ZammadServer, zammad_control: SandboxControl
    ) -> None:
        def told() -> Finding:
            return next(finding for finding in source.validate().findings if finding.subject == "organizations")

        assert (told().level, "untested" in told().text) == (Level.PASS, True)
        organization = zammad.add_organization("Acme")
        zammad.book(zammad.add_ticket("Printer on fire", organization_id=organization), 1, 1, at=DAY)
        assert told().text == "Organizations can be read."
        zammad_control.add_fault("respond", path="organizations", status=200, text="[]")
        assert (told().level, "ticket.agent" in told().remedy) == (Level.FAIL, True)

    def test_a_full_administrator_learns_version_and_zone(self, zammad: ZammadServer, connect_zammad: Connect) -> None:
        everything = ["admin", "ticket.agent"]
        boss = zammad.add_user("boss@example.com", permissions=everything, group_rights={1: ["full"]})
        zammad.add_token(boss, "boss-token", permissions=everything)
        zammad.configure({"zone": "Europe/Berlin", "version": "6.5.2"})
        validation = connect_zammad("boss-token").validate()
        assert (validation.version, validation.timezone) == ("6.5.2", "Europe/Berlin")
        assert validation.ok

    @pytest.mark.parametrize(
        ("permission", "subject"), [("admin.time_accounting", "time accountings"), ("ticket.agent", "users")]
    )
    def test_each_missing_permission_is_named(
        self, source: ZammadConnector, zammad: ZammadServer, permission: str, subject: str
    ) -> None:
        without(permission)(zammad)
        validation = source.validate()
        assert not validation.ok
        failed = {finding.subject: finding for finding in validation.findings if finding.level is Level.FAIL}
        assert permission in failed[subject].remedy

    def test_an_old_version_is_refused_with_the_version_needed(
        self, source: ZammadConnector, zammad: ZammadServer
    ) -> None:
        zammad.configure({"version": "6.0.0"})
        validation = source.validate()
        assert not validation.ok
        assert any("6.1 or newer" in finding.remedy for finding in validation.findings)

    def test_groups_that_cannot_be_read_are_warned_of(self, source: ZammadConnector, zammad: ZammadServer) -> None:
        hidden_ticket(zammad, DAY)
        zammad.book(zammad.add_ticket("Printer on fire"), 1, 1, at=DAY)
        (finding,) = [finding for finding in source.validate().findings if finding.subject == "groups"]
        assert finding.level is Level.WARN
        assert "1 of the 2 tickets" in finding.text
        assert "read" in finding.remedy

    def test_the_feature_switched_off_is_warned_of(self, source: ZammadConnector, zammad: ZammadServer) -> None:
        zammad.configure({"time_accounting": False})
        findings = {finding.subject: finding.level for finding in source.validate().findings}
        assert findings["time accounting"] is Level.WARN

    def test_the_unit_is_told(self, source: ZammadConnector, zammad: ZammadServer) -> None:
        zammad.configure({"unit": "custom", "unit_custom": "beers"})
        (finding,) = [finding for finding in source.validate().findings if finding.subject == "unit"]
        assert "custom: beers" in finding.text

    def test_maintenance_mode_is_a_failure_with_a_remedy(self, source: ZammadConnector, zammad: ZammadServer) -> None:
        zammad.configure({"maintenance_mode": True})
        (finding,) = source.validate().findings
        assert (finding.level, "maintenance mode" in finding.remedy) == (Level.FAIL, True)

    def test_it_writes_nothing(self, source: ZammadConnector, zammad_control: SandboxControl) -> None:
        source.validate()
        assert zammad_control.requests().reads > 5
        assert zammad_control.requests().writes == 0


def test_a_wait_between_attempts_is_as_long_as_zammad_asks(
    source: ZammadConnector, zammad_control: SandboxControl, pauses: Pauses
) -> None:
    zammad_control.add_fault("respond", path="types", status=429, headers={"Retry-After": "3"}, times=1)
    source.fetch_types()
    assert pauses.seconds == [3.0]
