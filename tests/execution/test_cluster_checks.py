"""Whether the folder of a search is one for all nodes is asked before anything is written there."""

from pathlib import Path

import pytest
from refusals import raises

from search.execution.placement.cluster_checks import check_shared
from search.execution.placement.dask_cluster import DaskCluster, check_fit


def test_a_folder_where_each_node_leaves_its_mark_is_shared_and_keeps_none(tmp_path):
    def marks(probe):
        for node in ("a", "b"):
            (Path(probe) / node).touch()
        return {"a": "", "b": ""}

    check_shared(tmp_path / "results" / "one", leave_marks=marks)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_a_node_does_not_share_is_refused_by_the_name_of_the_node(tmp_path):
    for said, told in (({"far": ""}, "far"), ({"far": "no such folder"}, "no such folder")):
        with raises("results-root-not-shared", "results_root", str(tmp_path), told):
            check_shared(tmp_path / "one", leave_marks=lambda probe, said=said: said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="root may write everywhere else")
def test_a_folder_in_which_nothing_can_be_written_is_refused():
    with raises("shared-folder-not-writable", "/proc", "results_root="):
        check_shared(Path("/proc/one"), leave_marks=lambda probe: {})


def test_a_dask_worker_that_lacks_this_program_is_refused_by_its_address_with_the_reason():
    cluster = DaskCluster(client=None)
    check_fit(cluster)
    cluster.unfit["tcp://10.0.0.7:4000"] = "ModuleNotFoundError: No module named 'search'"
    with raises(
        "dask-worker-unfit", "tcp://10.0.0.7:4000", "No module named 'search'", "PYTHONPATH"
    ):
        check_fit(cluster)
