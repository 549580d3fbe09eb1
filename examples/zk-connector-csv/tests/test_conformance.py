"""The connector goes through the suite of zk_pipeline, on a folder made for each test."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from zk_pipeline.connectors.conformance import SourceConformance, bookings
from zk_pipeline.connectors.contract import Endpoint
from zk_pipeline.connectors.errors import ProtocolError
from zk_pipeline.connectors.plugins import source_kinds
from zk_pipeline.domain.records import BookingKey, Existence, Window

from zk_connector_csv import CsvConnector

TOKEN = "the-token-of-the-folder"
AUGUST = Window(datetime(2025, 8, 1, tzinfo=UTC), datetime(2025, 9, 1, tzinfo=UTC))
FILES = {
    "accounts.csv": f"token,agent_id\n{TOKEN},3\n",
    "agents.csv": "id,email,name,active\n3,ada@example.com,Ada Agent,true\n4,bo@example.com,Bo,false\n",
    "organizations.csv": "id,name,active\n7,Hartmann AG,true\n",
    "activity_types.csv": "id,name,active\n1,Remote support,true\n",
    "tickets.csv": "id,number,title,organization_id\n50,#50,Printer on fire,7\n51,#51,Mail,\n",
    "bookings.csv": """id,ticket_id,agent_id,type_id,units,created_at,updated_at,deleted_at
6,50,3,1,15.0,2025-08-16T10:11:49.315+02:00,2025-08-16T08:11:49.315+00:00,
7,50,3,,-0.25,2025-08-16T08:12:00+00:00,2025-08-17T09:00:00+00:00,
8,51,4,1,7.5,2025-08-18T07:00:00+00:00,2025-08-18T07:00:00+00:00,
9,51,4,1,30,2025-08-19T07:00:00+00:00,2025-08-19T08:00:00+00:00,2025-08-19T08:00:00+00:00
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


def connect(folder: Path, token: str = TOKEN) -> CsvConnector:
    return CsvConnector(Endpoint("csv", folder.as_uri(), token, attempts=1))


class TestCsv(SourceConformance):
    @pytest.fixture
    def connector(self, folder: Path) -> CsvConnector:
        return connect(folder)

    @pytest.fixture
    def stranger(self, folder: Path) -> CsvConnector:
        return connect(folder, "unknown-token")

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> CsvConnector:
        return connect(tmp_path / "not-mounted")

    @pytest.fixture
    def window(self) -> Window:
        return AUGUST


def test_it_is_found_by_its_entry_point():
    assert source_kinds()["csv"] is CsvConnector


def test_a_booking_whose_line_says_so_is_gone(folder: Path):
    with connect(folder) as connector:
        assert connector.exists(BookingKey(8, 1)) is Existence.THERE
        assert connector.exists(BookingKey(9, 1)) is Existence.GONE


@pytest.mark.parametrize(
    ("wrong", "named"),
    [("15.0", "'fifteen' is no amount"), ("2025-08-16T10:11:49.315+02:00", "'2025-08-16T10:11:49' has no offset")],
)
def test_a_bad_line_stops_the_read_and_is_named(folder: Path, wrong: str, named: str):
    file = folder / "bookings.csv"
    file.write_text(file.read_text().replace(wrong, named.split("'")[1]))
    with connect(folder) as connector, pytest.raises(ProtocolError, match=f"Line 2 cannot be read: .*{named}"):
        bookings(connector, AUGUST)


def test_a_file_that_was_cut_off_is_no_shorter_list(folder: Path):
    file = folder / "bookings.csv"
    file.write_text(file.read_text()[:-70])
    with connect(folder) as connector, pytest.raises(ProtocolError, match="Line 5"):
        bookings(connector, AUGUST)
