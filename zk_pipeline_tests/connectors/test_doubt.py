"""What a source neither shows nor proves to be deleted stays as it is."""

import logging

import pytest

from zk_pipeline.connectors.zammad.connector import ZammadConnector
from zk_pipeline.domain.records import BookingKey, Existence
from zk_pipeline.stages.read_source import ask_for

ANSWERS = {"1": Existence.GONE, "2": Existence.DOUBT, "3": Existence.THERE, "4": Existence.GONE}


def test_only_proof_deletes_and_doubt_is_logged_by_number(
    source: ZammadConnector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(_source: ZammadConnector, booking: BookingKey) -> Existence:
        return ANSWERS[booking.id]

    monkeypatch.setattr(ZammadConnector, "exists", answer)
    with caplog.at_level(logging.WARNING):
        answers = ask_for(source, [BookingKey(id_, "7") for id_ in ANSWERS])
    gone = [booking.id for booking, told in answers.items() if told is Existence.GONE]
    assert gone == ["1", "4"]
    assert "neither shows bookings 2 nor proves" in caplog.text
