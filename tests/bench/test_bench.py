"""What `make bench` runs, and where its rows go."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from tests.bench.__main__ import FULL, QUICK
from tests.bench.cluster_row import ClusterRow

ASKED = (
    "scenario, nodes, image_bytes, seconds, bound_seconds, ratio, registry_copies, direct_seconds, cache_seconds, "
    "cpu_seconds_per_node, peak_rss_bytes"
)
PROGRAM = """
import sys
import pytest

from tests.bench.__main__ import Part, run_parts
sys.exit(run_parts([Part("no_such_bench", ""), Part("rollouts", "", ("--only", "bound 2x256"))], None, False))
"""


def test_a_row_of_the_cluster_has_what_a_table_needs() -> None:
    assert set(ASKED.split(", ")) <= {field.name for field in fields(ClusterRow)}


def test_the_whole_has_every_part_and_each_a_file_of_its_own() -> None:
    assert {part.module for part in FULL} == {"data_plane", "tracker_load", "agreement", "faults", "cluster"}
    assert {part.module for part in QUICK} == {"data_plane", "cluster"}
    files = [part.command(Path("rows.json"), resume=False)[-1] for part in FULL]
    assert sorted(files) == [
        "rows-agreement.json",
        "rows-data-plane.json",
        "rows-faults.json",
        "rows-tracker.json",
        "rows.json",
    ]


def test_parts_that_last_go_on_where_they_were_broken_off() -> None:
    resumed = {part.module for part in FULL if "--resume" in part.command(Path("rows.json"), resume=True)}
    assert resumed == {"agreement", "faults", "cluster"}


@pytest.mark.slow
def test_a_part_that_fails_does_not_keep_the_others() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "| 2 | 256 |" in ended.stdout
    assert "not as it should be: no such bench" in ended.stdout
