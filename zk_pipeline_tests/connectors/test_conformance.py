"""All connectors go through the suite that any connector must pass."""

from datetime import timedelta
from importlib.metadata import entry_points

import pytest

from zk_pipeline.connectors.conformance import SourceConformance, TargetConformance
from zk_pipeline.connectors.freshdesk.connector import FreshdeskConnector
from zk_pipeline.connectors.kimai.connector import KimaiConnector
from zk_pipeline.connectors.plugins import SOURCES, TARGETS, source_kinds, target_kinds
from zk_pipeline.connectors.zammad.connector import ZammadConnector
from zk_pipeline.domain.records import TimesheetDraft, Window
from zk_pipeline_tests.connectors import freshdesk_world
from zk_pipeline_tests.connectors.conftest import DAY, Connect, ConnectKimai, Office
from zk_pipeline_tests.connectors.freshdesk_world import JUNE, ConnectFreshdesk
from zk_sandbox.freshdesk import FreshdeskServer
from zk_sandbox.zammad import ZammadServer

NOWHERE = "http://127.0.0.1:9"

freshdesk_service, freshdesk = freshdesk_world.freshdesk_service, freshdesk_world.freshdesk
connect_freshdesk = freshdesk_world.connect


class TestZammad(SourceConformance):
    @pytest.fixture
    def window(self, zammad: ZammadServer) -> Window:
        ticket_id = zammad.add_ticket("Printer on fire")
        agent = zammad.add_agent("agent@example.com", firstname="Ada", lastname="Agent")
        kind = zammad.add_type("Remote support")
        for minute, units in enumerate(["15.0", "-0.25", "0", "7.5"]):
            zammad.book(ticket_id, agent, units, kind if minute else None, at=DAY + timedelta(minutes=minute))
        return Window(DAY, DAY + timedelta(days=1))

    @pytest.fixture
    def connector(self, connect_zammad: Connect) -> ZammadConnector:
        return connect_zammad()

    @pytest.fixture
    def stranger(self, connect_zammad: Connect) -> ZammadConnector:
        return connect_zammad("unknown-token")

    @pytest.fixture
    def unreachable(self, connect_zammad: Connect) -> ZammadConnector:
        return connect_zammad(base_url=NOWHERE, attempts=1)


class TestFreshdesk(SourceConformance):
    @pytest.fixture
    def window(self, freshdesk: FreshdeskServer) -> Window:
        company, mail = freshdesk.add_company("Acme"), freshdesk.add_product("Mail")
        anna = freshdesk.add_agent("Anna Berg", "anna@example.net")
        fire = freshdesk.add_ticket("Printer on fire", company_id=company, type="Incident", at=JUNE.start)
        lost = freshdesk.add_ticket("Mail is lost", product_id=mail, at=JUNE.start)
        for hours, ticket in enumerate([fire, lost, fire, lost]):
            freshdesk.book(ticket, anna, 10 + hours, JUNE.start + timedelta(hours=hours))
        freshdesk.book(fire, anna, 5, JUNE.end)
        return JUNE

    @pytest.fixture
    def connector(self, connect_freshdesk: ConnectFreshdesk) -> FreshdeskConnector:
        return connect_freshdesk()

    @pytest.fixture
    def stranger(self, connect_freshdesk: ConnectFreshdesk) -> FreshdeskConnector:
        return connect_freshdesk("unknown-token")

    @pytest.fixture
    def unreachable(self, connect_freshdesk: ConnectFreshdesk) -> FreshdeskConnector:
        return connect_freshdesk(base_url=NOWHERE, attempts=1)


class TestKimai(TargetConformance):
    @pytest.fixture
    def draft(self, office: Office) -> TimesheetDraft:
        return TimesheetDraft(
            user_id=office.anna,
            project_id=office.project,
            activity_id=office.activity,
            begin=DAY + timedelta(hours=8),
            end=DAY + timedelta(hours=8, minutes=15),
            description="Ticket #50: Printer on fire [zk-zammad-6]",
            tags=("synced", "zammad"),
        )

    @pytest.fixture
    def connector(self, connect_kimai: ConnectKimai) -> KimaiConnector:
        return connect_kimai()

    @pytest.fixture
    def stranger(self, connect_kimai: ConnectKimai) -> KimaiConnector:
        return connect_kimai("unknown-token")

    @pytest.fixture
    def unreachable(self, connect_kimai: ConnectKimai) -> KimaiConnector:
        return connect_kimai(base_url=NOWHERE, attempts=1)


@pytest.mark.skipif(not entry_points(group=SOURCES), reason="the package is not installed, so it has no entry points")
def test_the_connectors_are_found_by_their_entry_points() -> None:
    assert source_kinds()["zammad"] is ZammadConnector
    assert source_kinds()["freshdesk"] is FreshdeskConnector
    assert entry_points(group=TARGETS)
    assert target_kinds()["kimai"] is KimaiConnector
