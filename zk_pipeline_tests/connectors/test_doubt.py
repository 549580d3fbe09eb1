"""What a source neither shows nor proves to be deleted stays as it is."""

import logging

import pytest

from zk_pipeline.connectors.zammad.connector import ZammadConnector
from zk_pipeline.domain.records import BookingKey, Existence
from zk_pipeline.stages.read_source import proven_gone

ANSWERS = {"1": Existence.GONE, "2": Existence.DOUBT, "3": Existence.THERE, "4": Existence.GONE}


def test_only_proof_deletes_and_doubt_is_logged_by_number(
    source: ZammadConnector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(_source: ZammadConnector, booking: BookingKey) -> Existence:
        return ANSWERS[booking.id]

    monkeypatch.setattr(ZammadConnector, "exists", answer)
    with caplog.at_level(logging.WARNING):
        gone = proven_gone(source, [BookingKey(id_, "7") for id_ in ANSWERS])
    assert [booking.id for booking in gone] == ["1", "4"]
    assert "neither shows bookings 2 nor proves" in caplog.text
