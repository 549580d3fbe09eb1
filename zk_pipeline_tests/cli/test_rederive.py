"""`zk rederive`, and what stands in the way of starting with other settings than those that decided stored facts."""

import json
import os
import subprocess
import sys

from zk_pipeline_tests.cli.conftest import Homes, Zk

DAY = "2025-10-06"


def test_the_very_first_start_asks_for_the_zone(zk: Zk) -> None:
    for words in (("sync", "--plan", "--from", DAY), ("migrate",)):
        refused = zk(*words, ZK_TIMEZONE="", TZ="Europe/Vienna")
        assert refused.exit_code == 1
        assert "ZK_TIMEZONE is not set" in refused.stderr
        assert "Set ZK_TIMEZONE=Europe/Vienna" in refused.stderr
    assert zk("status", ZK_TIMEZONE="").exit_code == 0, "What only looks needs none"


def test_at_a_terminal_the_zone_is_asked_for_and_said_how_to_keep_it(homes: Homes) -> None:
    ours, theirs = os.openpty()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ZK_", "DAGSTER_"))}
    environment |= {**homes.new().variables, "ZK_TIMEZONE": "", "TZ": "Europe/Vienna"}
    with subprocess.Popen(
        [sys.executable, "-c", "from zk_pipeline.cli.app import main; main()", "migrate"],
        env=environment,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        os.close(theirs)
        os.write(ours, b"Mars\n\n")
        told, _ = process.communicate()
    os.close(ours)
    assert process.returncode == 0, told
    assert "Time zone [Europe/Vienna]" in told
    assert "ZK_TIMEZONE='Mars'" in told
    assert "Add ZK_TIMEZONE=Europe/Vienna to .env" in told


def test_a_changed_zone_stops_every_start_until_it_was_derived_again(zk: Zk) -> None:
    assert zk("sync", "--plan", "--from", DAY, "--json").exit_code in {0, 3}
    for words in (("sync", "--plan", "--from", DAY), ("statement", "2025-10"), ("migrate",)):
        refused = zk(*words, ZK_TIMEZONE="Asia/Tokyo")
        assert refused.exit_code == 1
        assert "ZK_TIMEZONE was 'Europe/Berlin' and is 'Asia/Tokyo'" in refused.stderr
        assert "zk rederive --plan" in refused.stderr
    planned = zk("rederive", "--plan", "--json", ZK_TIMEZONE="Asia/Tokyo")
    told = json.loads(planned.stdout)
    assert told["changes"] == [{"setting": "ZK_TIMEZONE", "from": "Europe/Berlin", "to": "Asia/Tokyo"}]
    assert told["bookings_moved"] > 0
    shown = zk("rederive", "--plan", ZK_TIMEZONE="Asia/Tokyo").stdout
    assert "ZK_TIMEZONE: Europe/Berlin becomes Asia/Tokyo." in shown
    assert "Nothing was changed (--plan)." in shown

    done = zk("rederive", ZK_TIMEZONE="Asia/Tokyo")
    assert f"Requested {DAY}, 2025-10-07: zk up runs them" in done.stdout
    assert zk("status", ZK_TIMEZONE="Asia/Tokyo").exit_code == 0
    assert "Nothing to derive again" in zk("rederive", ZK_TIMEZONE="Asia/Tokyo").stdout
