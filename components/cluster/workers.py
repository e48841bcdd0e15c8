"""Workers: one function on every rank, in this process or through Ray Train."""

import os
import secrets
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from tqdm import tqdm

from components.cluster.journal import Journal
from components.cluster.placement import Bundle, Node, PlacementRequest, describe, settle
from components.cluster.rank import Function, Work, run_rank
from components.cluster.session import ray_session
from components.faults import Fault
from components.shards.manifest import MANIFEST
from components.storage.files import sha256_file, write_json
from components.storage.home import AnyPath
from components.storage.locks import exclusive
from components.storage.scratch import scratch
from components.training.group import Group
from components.training.run import LOCK, Run, files_of
from components.training.stop import Stopped, signals_answered

RANKS = "ranks.json"
_PLACEMENT_TRIES = 4
_LEAST_START_S = 15.0
_NCCL_GRACE_S = 30


@dataclass(frozen=True)
class Workers:
    """How many ranks there are, on which devices, and how long to wait for them.

    Attributes:
        num: ranks; 0 runs the function in this process, with every core and no Ray.
        device: auto takes GPUs where every rank can have one.
        folder: shared by all ranks, which is checked; ranks.json in it says where they ran.
        timeout_s: a rank that is waited for longer, or gives no sign of life for longer, is ended.
        max_failures: how often dead or hung workers are replaced.
        asked: how the ranks are to lie on the nodes.
        shared: more files that all ranks must see as this process does.
        title: the name that begins its lines on stderr.
        saves: the function heeds `group.stop`, so a first SIGTERM or Ctrl-C lets it end after a step, saved.
    """

    num: int
    device: str
    folder: AnyPath
    timeout_s: float = 300
    max_failures: int = 2
    asked: PlacementRequest = field(default_factory=PlacementRequest)
    shared: tuple[AnyPath, ...] = ()
    title: str = "workers"
    saves: bool = False

    @classmethod
    def of(cls, run: Run, title: str = "train") -> Self:
        """The workers that a run's params ask for."""
        train = run.train
        asked = PlacementRequest(train.placement, train.cpus_per_worker, train.workers_per_gpu, train.backend)
        shared = (run.shards / MANIFEST, *files_of(run.system).values())
        return cls(
            train.num_workers, train.device, run.folder, train.timeout_s, train.max_failures, asked, shared, title, True
        )

    def run(self, function: Function, payload: Any) -> float:
        """Call function(payload, group) on every rank and wait for them all.

        Returns:
            Seconds outside of the function: for starting Ray and the workers, and ending them.

        Raises:
            Fault: raised by the function on a rank, or the ranks cannot be had, died or hang, or some do
                not see the files that this process sees, or others are at work in the folder.
            Stopped: by SIGTERM or Ctrl-C.
        """
        with exclusive(self.folder / LOCK, str(self.folder)):
            if self.num == 0:
                group = Group(device=_device(self.device))
                with signals_answered(self.title, group.stop.ask if self.saves else None) as asked:
                    function(payload, group)
                if asked:
                    raise Stopped(asked[0], group.stop.begun)
                return 0.0
            began = time.perf_counter()
            with ray_session(), scratch() as own:
                seconds = self._fit(function, payload, Path(own))
            return time.perf_counter() - began - seconds

    def _fit(self, function: Function, payload: Any, own: Path) -> float:
        """Run the ranks; `own` is a folder on this node's disk, for what only this node reads."""
        from ray.train import ControllerError, FailureConfig, RunConfig, ScalingConfig, WorkerGroupError
        from ray.train.torch import TorchConfig, TorchTrainer

        from components.cluster.watch import Watch

        os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "1")
        nodes = _nodes()
        bundle = settle(nodes, self.num, self.device, self.asked)
        # nccl ends a process whose collective takes too long; the watch is to speak first.
        patience = self.timeout_s + _NCCL_GRACE_S * (bundle.backend == "nccl")
        journal = Journal(own / "journal.jsonl")
        start_s = max(_LEAST_START_S, self.timeout_s / _PLACEMENT_TRIES)
        trainer = TorchTrainer(
            run_rank,
            train_loop_config={"task": Work(function, payload, bundle.cpus, self._probes())},
            torch_config=TorchConfig(backend=bundle.backend, timeout_s=max(1, int(patience))),
            scaling_config=ScalingConfig(
                num_workers=self.num,
                use_gpu=bundle.gpus > 0,
                resources_per_worker=bundle.resources,
                placement_strategy=self.asked.placement,
            ),
            run_config=RunConfig(
                name="ray",
                storage_path=str(own),
                failure_config=FailureConfig(
                    max_failures=self.max_failures, controller_failure_limit=_PLACEMENT_TRIES - 1
                ),
                callbacks=[Watch(self.timeout_s, start_s, self.max_failures, journal)],
            ),
        )
        asked: list[int] = []
        try:
            with (
                journal.followed(lambda record: self._hear(record, bundle)),
                signals_answered(self.title, journal.ask_to_stop if self.saves else None) as asked,
            ):
                result = _beside(trainer.fit)
        except WorkerGroupError as error:
            why = str(error).splitlines()[-1]
            times = f", the failure number {self.max_failures + 1}" if self.max_failures else ""
            raise Fault(f"{why}{times}") from error
        except ControllerError as error:
            if isinstance(error.controller_failure, Fault):
                raise error.controller_failure from None
            if asked:  # ranks that died of the same signal, say
                raise Stopped(asked[0]) from error
            if type(error.controller_failure).__name__ == "WorkerGroupStartupFailedError":
                raise Fault(f"the ranks die as they start: {str(error.controller_failure).splitlines()[-1]}") from error
            if type(error.controller_failure).__name__ == "WorkerGroupStartupTimeoutError":
                what = f"{self.num} ranks of {bundle.cpus} CPUs" + (f" and {bundle.gpus:g} GPUs" if bundle.gpus else "")
                raise Fault(
                    f"no room for {what} ({self.asked.placement}); the cluster has {describe(_nodes())}"
                ) from error
            raise
        if asked:
            raise Stopped(asked[0], result.return_value["steps"])
        return float(result.return_value["seconds"])

    def _probes(self) -> dict[AnyPath, str]:
        """The sha256 of the files that ranks must see, among them one that nobody can have seen before."""
        probe = self.folder / "probe.json"
        write_json(probe, {"token": secrets.token_hex(16)})
        return {path: sha256_file(path) for path in (probe, *self.shared)}

    def _hear(self, record: dict[str, Any], bundle: Bundle) -> None:
        if "ranks" in record:
            write_json(self.folder / RANKS, {"backend": bundle.backend, "cpus": bundle.cpus, "ranks": record["ranks"]})
            record["say"] = _where(record["ranks"], bundle)
        tqdm.write(f"{self.title}: {record['say']}", file=sys.stderr)


def _beside(function: Callable[[], Any]) -> Any:
    """Call in a thread while this one waits for signals; from the main one Ray Train answers Ctrl-C in its own way."""
    done: Future[Any] = Future()

    def call() -> None:
        try:
            done.set_result(function())
        except BaseException as error:  # of whatever kind, it is raised where the result is waited for
            done.set_exception(error)

    threading.Thread(target=call, name="ray-train", daemon=True).start()
    return done.result()


def _nodes() -> list[Node]:
    import ray

    living = [node for node in ray.nodes() if node["Alive"]]
    return [
        Node(n["NodeManagerAddress"], int(n["Resources"].get("CPU", 0)), int(n["Resources"].get("GPU", 0)))
        for n in living
    ]


def _where(ranks: list[dict[str, Any]], bundle: Bundle) -> str:
    """`2 ranks on 2 nodes: 10.0.0.1 (rank 0), 10.0.0.2 (rank 1); gloo, 1 CPU each`."""
    nodes: dict[str, list[dict[str, Any]]] = {}
    for rank in ranks:
        nodes.setdefault(rank["node_id"], []).append(rank)
    lists = [(on[0]["address"], ", ".join(str(rank["rank"]) for rank in on)) for on in nodes.values()]
    places = ", ".join(f"{address} (rank{'s' * (',' in names)} {names})" for address, names in lists)
    count = f"{len(ranks)} rank{'s' * (len(ranks) != 1)} on {len(nodes)} node{'s' * (len(nodes) != 1)}"
    each = f"{bundle.cpus} CPU{'s' * (bundle.cpus != 1)}" + (f" and {bundle.gpus:g} GPU" if bundle.gpus else "")
    return f"{count}: {places}; {bundle.backend}, {each} each"


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise Fault("train.device cuda: this machine offers no CUDA device; set it to auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
