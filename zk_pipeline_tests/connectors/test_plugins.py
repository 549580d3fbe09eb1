"""A package whose connector cannot be imported is named, and all others work."""

import logging
import sys
from pathlib import Path

import pytest

from zk_pipeline.connectors import plugins
from zk_pipeline.connectors.kimai.connector import KimaiConnector
from zk_pipeline.connectors.zammad.connector import ZammadConnector
from zk_pipeline.runtime.runtime import SetupError, _plugin
from zk_pipeline.store.connectors import StoredConnector

BROKEN = {
    "raises": ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
    "misses": (
        "import a_module_that_is_not_there",
        "ModuleNotFoundError: No module named 'a_module_that_is_not_there'",
    ),
    "exits": ("raise SystemExit(3)", "SystemExit: 3"),
    "lacks": ("", "AttributeError: module 'zk_broken' has no attribute 'Connector'"),
    "none": ("Connector = str", "zk_broken:Connector is not a SourceConnector"),
}


def broken_package(folder: Path, content: str) -> None:
    """The package zk-broken 1.2 with the connector `redmine`, in a folder of its own."""
    info = folder / "zk_broken-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zk-broken\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[zk_pipeline.sources]\nredmine = zk_broken:Connector\n")
    (folder / "zk_broken.py").write_text(content)


@pytest.fixture(params=BROKEN.values(), ids=BROKEN)
def reason(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Why the connector `redmine` of the package zk-broken 1.2 cannot be used."""
    content, told = request.param
    broken_package(tmp_path, content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "zk_broken", raising=False)
    plugins._log_once.cache_clear()
    return told


def test_it_is_named_with_its_package_and_stops_no_other(reason: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert plugins.source_kinds()["zammad"] is ZammadConnector
            assert plugins.target_kinds()["kimai"] is KimaiConnector
            assert "redmine" not in plugins.source_kinds()
    (broken,) = plugins.broken_plugins()
    assert str(broken) == (
        f"The connector 'redmine' of the package zk-broken 1.2 cannot be used ({reason}). "
        "Install a version that fits, or remove the package."
    )
    assert [record.getMessage() for record in caplog.records] == [str(broken)]


def test_whoever_uses_it_is_told_the_package_and_why(reason: str) -> None:
    stored = StoredConnector("redmine", "source", "redmine", "https://redmine.example.com", "hidden-token")
    with pytest.raises(SetupError) as told:
        _plugin(plugins.source_kinds(), stored)
    assert f"'redmine' of the package zk-broken 1.2 cannot be used ({reason})" in str(told.value)
