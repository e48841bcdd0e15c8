"""Placement: what each rank takes of the nodes, and whether the nodes can hold all ranks."""

from dataclasses import dataclass

from components.faults import Fault
from components.training.config import Placement


@dataclass(frozen=True)
class Node:
    """A living node of the cluster and all it has, whether taken or not."""

    address: str
    cpus: int
    gpus: int


@dataclass(frozen=True)
class Bundle:
    """What one rank takes, and how ranks talk.

    Attributes:
        gpus: 0, or the share of one GPU.
        backend: gloo or nccl.
    """

    cpus: int
    gpus: float
    backend: str

    @property
    def resources(self) -> dict[str, float]:
        """As Ray counts them."""
        return {"CPU": self.cpus, "GPU": self.gpus} if self.gpus else {"CPU": self.cpus}


@dataclass(frozen=True)
class PlacementRequest:
    """How ranks are to lie on the nodes: the settings of TrainConfig that bear these names."""

    placement: Placement = "PACK"
    cpus_per_worker: int = 0
    workers_per_gpu: int = 1
    backend: str = "auto"


def settle(nodes: list[Node], num: int, device: str, asked: PlacementRequest) -> Bundle:
    """Choose what each of `num` ranks takes: as many CPUs as still let all ranks have a place.

    Args:
        device: auto, cpu or cuda.

    Raises:
        Fault: the nodes cannot hold the ranks; it says what is missing.
    """
    share = 1 / asked.workers_per_gpu
    slots = sum(node.gpus for node in nodes) * asked.workers_per_gpu
    gpus = share if device == "cuda" or (device == "auto" and slots >= num) else 0.0
    if gpus and slots < num:
        raise Fault(f"train.num_workers {num} needs as many GPUs; the cluster offers {slots} places on GPUs")
    if asked.backend == "nccl" and not gpus:
        raise Fault("train.backend nccl: needs a GPU for each rank; set it to auto or gloo")
    alone = gpus == 1  # nccl refuses two ranks on one GPU
    backend = asked.backend if asked.backend != "auto" else "nccl" if alone else "gloo"
    most = max((node.cpus for node in nodes), default=0)
    for cpus in [asked.cpus_per_worker] if asked.cpus_per_worker else range(most, 0, -1):
        bundle = Bundle(cpus, gpus, backend)
        if _fits(nodes, num, bundle, asked.placement):
            return bundle
    raise Fault(_missing(nodes, num, asked))


def describe(nodes: list[Node]) -> str:
    """`2 nodes (10.0.0.1: 8 CPUs, 10.0.0.2: 8 CPUs)`."""
    each = ", ".join(f"{n.address}: {n.cpus} CPUs" + (f" and {n.gpus} GPUs" if n.gpus else "") for n in nodes)
    return f"{len(nodes)} node{'s' * (len(nodes) != 1)} ({each})"


def _fits(nodes: list[Node], num: int, bundle: Bundle, placement: Placement) -> bool:
    places = [_places(node, bundle) for node in nodes]
    if placement == "STRICT_PACK":
        return max(places, default=0) >= num
    if placement == "STRICT_SPREAD":
        return sum(count > 0 for count in places) >= num
    return sum(places) >= num


def _places(node: Node, bundle: Bundle) -> int:
    by_cpu = node.cpus // bundle.cpus
    return min(by_cpu, int(node.gpus // bundle.gpus)) if bundle.gpus else by_cpu


def _missing(nodes: list[Node], num: int, asked: PlacementRequest) -> str:
    each = asked.cpus_per_worker or 1
    if asked.placement == "STRICT_SPREAD":
        return f"train.placement STRICT_SPREAD needs {num} nodes of {each} free CPUs; there are {describe(nodes)}"
    where = " on one node" if asked.placement == "STRICT_PACK" else ""
    much = "as many CPUs" if each == 1 else f"{each} CPUs for each"
    return f"train.num_workers {num} needs {much}{where}; the cluster offers {describe(nodes)}"
