"""A Ray cluster of two nodes writes the bytes that one process writes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from slide_runs import SMALL, bags

pytest.importorskip("openslide")
pytest.importorskip("timm")

Pathdata = Callable[..., tuple[int, str]]


def test_ray_on_two_nodes_writes_the_same_bytes(pathdata: Pathdata, many_slides: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    import ray

    try:
        cluster.add_node(num_cpus=1)
        words = ("run", many_slides, *SMALL, "--engine", "ray", "--address", cluster.address, "--workers", 2)
        code, said = pathdata(*words, "--out", tmp_path / "ray")
        assert code == 0, said
        workers = {json.loads(p.read_text())["pid"] for p in (tmp_path / "ray" / "state" / "run").glob("*.json")}
        assert len(workers) == 2
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert pathdata("run", many_slides, "--out", tmp_path / "here", *SMALL)[0] == 0  # the bytes of processes, see above
    assert bags(tmp_path / "ray") == bags(tmp_path / "here")
    assert len(bags(tmp_path / "ray")) == 4
