"""What each rank takes of the nodes."""

import pytest

from components.cluster.placement import Bundle, Node, PlacementRequest, settle
from components.faults import Fault

EIGHT = [Node("a", 8, 0), Node("b", 8, 0)]
UNEVEN = [Node("a", 2, 0), Node("b", 6, 0)]
GPUS = [Node("a", 16, 2), Node("b", 16, 2)]


@pytest.mark.parametrize(
    ("nodes", "num", "placement", "cpus"),
    [
        ([Node("a", 2, 0)], 2, "PACK", 1),
        (EIGHT, 2, "PACK", 8),
        (EIGHT, 3, "PACK", 4),
        (EIGHT, 2, "STRICT_PACK", 4),
        (UNEVEN, 2, "STRICT_SPREAD", 2),
        (UNEVEN, 2, "PACK", 3),  # not 4, the mean: the small node has no room for it
    ],
)
def test_ranks_take_the_cpus_that_nodes_can_give(nodes, num, placement, cpus):
    assert settle(nodes, num, "auto", PlacementRequest(placement)) == Bundle(cpus, 0, "gloo")


def test_ranks_on_gpus():
    assert settle(GPUS, 4, "auto", PlacementRequest()) == Bundle(8, 1, "nccl")
    assert settle(GPUS, 8, "auto", PlacementRequest(workers_per_gpu=2)) == Bundle(
        4, 0.5, "gloo"
    )  # nccl refuses a shared GPU
    assert settle(GPUS, 4, "auto", PlacementRequest(backend="gloo")) == Bundle(8, 1, "gloo")
    assert settle(GPUS, 5, "auto", PlacementRequest()).gpus == 0
    assert settle(GPUS, 4, "cpu", PlacementRequest()).backend == "gloo"


@pytest.mark.parametrize(
    ("num", "device", "asked", "said"),
    [
        (
            17,
            "cpu",
            PlacementRequest(),
            r"num_workers 17 needs as many CPUs; the cluster offers 2 nodes \(a: 8 CPUs, b: 8 CPUs\)",
        ),
        (3, "cpu", PlacementRequest("STRICT_SPREAD"), "STRICT_SPREAD needs 3 nodes of 1 free CPUs; there are 2 nodes"),
        (9, "cpu", PlacementRequest("STRICT_PACK"), "needs as many CPUs on one node"),
        (2, "cpu", PlacementRequest(cpus_per_worker=9), "needs 9 CPUs for each"),
        (2, "cuda", PlacementRequest(), "needs as many GPUs; the cluster offers 0 places on GPUs"),
        (2, "cpu", PlacementRequest(backend="nccl"), "train.backend nccl: needs a GPU for each rank"),
    ],
)
def test_what_is_missing_is_said(num, device, asked, said):
    with pytest.raises(Fault, match=said):
        settle(EIGHT, num, device, asked)
