"""Writing into Zammad's tickets: tags and notes, what the account lacks, and what a source that only reads says."""

from collections.abc import Iterable
from contextlib import suppress
from typing import cast

import pytest

from zk_pipeline.connectors.checks import Finding
from zk_pipeline.connectors.contract import SourceConnector
from zk_pipeline.connectors.errors import ConnectorError, NotFoundError, PermissionDeniedError, UnavailableError
from zk_pipeline.connectors.write_back import writable_kinds, writer_of
from zk_pipeline.connectors.zammad.connector import ZammadConnector
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.domain.write_back import WriteKind
from zk_pipeline_tests.connectors.conftest import DAY, Connect
from zk_sandbox.client import SandboxControl
from zk_sandbox.zammad import ZammadServer

WRITER = "writer-token-91c2"
TAG = "billed:2025-08"
KINDS = frozenset(WriteKind)


def account(zammad: ZammadServer, right: str = "change", permissions: Iterable[str] = ()) -> int:
    """An account whose token is `WRITER`, with this right on every group."""
    held = list(permissions) or ["admin.time_accounting", "ticket.agent"]
    user = zammad.add_user(
        "writer@example.net", permissions=held, group_rights={group: [right, "read"] for group in zammad.state.groups}
    )
    zammad.add_token(user, WRITER, permissions=held)
    return user


@pytest.fixture
def ticket(zammad: ZammadServer) -> str:
    """A ticket with a booking."""
    number = zammad.add_ticket("Printer on fire")
    zammad.book(number, 1, 30, at=DAY)
    return str(number)


@pytest.fixture
def writer(zammad: ZammadServer, connect_zammad: Connect) -> ZammadConnector:
    account(zammad)
    return connect_zammad(WRITER)


def lacks(source: ZammadConnector, kinds: frozenset[WriteKind] = KINDS) -> list[Finding]:
    return [finding for finding in source.writing_findings(kinds) if finding.level is not Level.PASS]


def test_a_tag_is_added_and_taken_off_and_twice_is_no_error(writer: ZammadConnector, ticket: str) -> None:
    for _ in range(2):
        writer.add_tag(ticket, TAG)
    assert writer.tags_of(ticket) == {TAG}
    for _ in range(2):
        writer.remove_tag(ticket, TAG)
    assert writer.tags_of(ticket) == frozenset()


@pytest.mark.parametrize("fault", ["drop_after", "truncate", "html"])
def test_a_tag_whose_answer_was_lost_is_there_once(
    writer: ZammadConnector, zammad: ZammadServer, zammad_control: SandboxControl, ticket: str, fault: str
) -> None:
    zammad_control.add_fault(fault, path="/tags/add", times=1)  # type: ignore[arg-type]
    with suppress(ConnectorError):  # Where the answer came, but cut off, no second attempt is made.
        writer.add_tag(ticket, TAG)
    assert zammad.state.tickets[int(ticket)].tags == [TAG]


def test_a_note_is_internal_is_found_by_its_marker_and_deleted_once(
    writer: ZammadConnector, zammad: ZammadServer, ticket: str
) -> None:
    assert writer.find_note(ticket, "[zk-billed-2025-08]") is None
    note = writer.add_note(ticket, "Billed. [zk-billed-2025-08]")
    article = zammad.state.articles[int(note)]
    assert (article.internal, article.type, article.body) == (True, "note", "Billed. [zk-billed-2025-08]")
    assert writer.find_note(ticket, "[zk-billed-2025-08]") == note
    assert writer.find_note(ticket, "[zk-billed-2025-0]") is None
    for _ in range(2):
        writer.delete_note(note)
    assert writer.find_note(ticket, "[zk-billed-2025-08]") is None


def test_a_note_is_sent_in_one_attempt_and_its_lost_answer_leaves_the_outcome_unknown(
    writer: ZammadConnector, zammad_control: SandboxControl, ticket: str
) -> None:
    zammad_control.add_fault("drop_after", path="/ticket_articles$", times=1)
    with pytest.raises(UnavailableError) as lost:
        writer.add_note(ticket, "Billed. [zk-billed-2025-08]")
    assert lost.value.outcome_unknown
    assert zammad_control.requests().by_route["POST /api/v1/ticket_articles"] == 1
    assert writer.find_note(ticket, "[zk-billed-2025-08]") is not None


def test_what_is_gone_is_said_as_such(writer: ZammadConnector) -> None:
    for call in (writer.tags_of, writer.ticket_now):
        with pytest.raises(NotFoundError):
            call("999")
    with pytest.raises(NotFoundError):
        writer.add_tag("999", TAG)


def test_a_ticket_now_has_its_sum_and_when_it_was_changed(writer: ZammadConnector, ticket: str) -> None:
    before = writer.ticket_now(ticket)
    writer.add_tag(ticket, TAG)
    after = writer.ticket_now(ticket)
    assert (before.units, after.units) == (30, 30)
    assert before.ticket.updated_at is not None
    assert after.ticket.updated_at is not None
    assert after.ticket.updated_at > before.ticket.updated_at


def test_an_account_that_only_reads_is_told_so_before_and_when_it_writes(
    source: ZammadConnector, zammad_control: SandboxControl, ticket: str
) -> None:
    zammad_control.reset_requests()
    (finding,) = lacks(source)
    assert "Users" in finding.text
    assert "right 'change'" in finding.remedy
    assert zammad_control.requests().writes == 0
    with pytest.raises(PermissionDeniedError, match="right 'change' on the group"):
        source.add_tag(ticket, TAG)
    with pytest.raises(PermissionDeniedError, match="right 'change' on the group"):
        source.add_note(ticket, "Billed.")


@pytest.mark.usefixtures("ticket")
def test_a_token_without_the_permission_of_agents_is_told_although_searches_answer_it(
    zammad: ZammadServer, connect_zammad: Connect
) -> None:
    user = account(zammad)
    zammad.add_token(user, "half-token", permissions=["admin.time_accounting"])
    (finding,) = lacks(connect_zammad("half-token"))
    assert "ticket.agent" in finding.remedy


@pytest.mark.usefixtures("ticket")
def test_an_account_that_may_write_passes(writer: ZammadConnector) -> None:
    assert lacks(writer) == []
    assert writer.writing_findings(frozenset()) == ()


def test_without_a_booking_nothing_is_claimed(writer: ZammadConnector) -> None:
    (finding,) = writer.writing_findings(KINDS)
    assert "untested" in finding.text


def test_new_tags_that_nobody_may_make_are_told_and_the_refusal_names_the_setting(
    zammad: ZammadServer, connect_zammad: Connect, ticket: str
) -> None:
    account(zammad, permissions=["admin.time_accounting", "admin.tag", "ticket.agent"])
    zammad.configure({"tag_new": False})
    (finding,) = lacks(connect_zammad(WRITER))
    assert "New Tags" in finding.remedy
    assert lacks(connect_zammad(WRITER), frozenset({WriteKind.NOTE})) == []
    zammad.state.tokens[WRITER].permissions.remove("admin.tag")
    with pytest.raises(PermissionDeniedError, match="'New Tags' under Manage, Tags"):
        connect_zammad(WRITER).add_tag(ticket, TAG)


def test_a_source_that_is_only_read_says_so() -> None:
    assert writer_of(cast("SourceConnector", object())) is None
    assert writable_kinds(SourceConnector) == frozenset()
    assert writable_kinds(ZammadConnector) == KINDS
