"""A receiver of alerts."""

from collections.abc import Iterator

import pytest

from zk_pipeline_tests.observe.alerts.receiver import Receiver, open_receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with open_receiver() as receiver:
        yield receiver
