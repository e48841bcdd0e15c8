"""Workers: one function on every rank, in this process or through Ray Train."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from components.cluster.session import ray_session
from components.faults import Fault
from components.files import read_json, write_json
from components.home import AnyPath
from components.training.group import Group

Function = Callable[[Any, Group], None]


@dataclass(frozen=True)
class Workers:
    """How many ranks, on what, and how patient.

    Attributes:
        num: ranks; 0 runs the function in this process, with every core and no Ray.
        device: auto takes GPUs where every rank can have one.
        folder: shared by all ranks; a rank's fault is handed over in it.
        timeout_s: a collective that takes longer ends the run.
        max_failures: how often dead workers are replaced.
    """

    num: int
    device: str
    folder: AnyPath
    timeout_s: float = 300
    max_failures: int = 2

    def run(self, function: Function, payload: Any) -> float:
        """Call function(payload, group) on every rank and wait for them all.

        Returns:
            Seconds that were not the function's own: starting Ray and the workers, and ending them.

        Raises:
            Fault: raised by the function on a rank, or the ranks cannot be had.
        """
        if self.num == 0:
            function(payload, Group(device=_device(self.device)))
            return 0.0
        began = time.perf_counter()
        fault, clock = self.folder / "fault.json", self.folder / "rank_0.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        fault.unlink(missing_ok=True)
        with ray_session():
            self._fit(function, payload, {"fault": str(fault), "clock": str(clock)})
        if fault.exists():
            raise Fault(read_json(fault)["message"])
        return time.perf_counter() - began - float(read_json(clock)["seconds"])

    def _fit(self, function: Function, payload: Any, files: dict[str, str]) -> None:
        import ray
        from ray.train import FailureConfig, RunConfig, ScalingConfig, WorkerGroupError
        from ray.train.torch import TorchConfig, TorchTrainer

        has = ray.cluster_resources()
        gpu = self.device == "cuda" or (self.device == "auto" and has.get("GPU", 0) >= self.num)
        cpus = max(1, int(has.get("CPU", 0)) // self.num)
        if has.get("GPU" if gpu else "CPU", 0) < self.num:
            kind = "GPUs" if gpu else "CPUs"
            offered = int(has.get("GPU" if gpu else "CPU", 0))
            raise Fault(f"train.num_workers {self.num} needs as many {kind}; the cluster offers {offered}")
        trainer = TorchTrainer(
            _on_rank,
            train_loop_config={"function": function, "payload": payload, "cpus": cpus, **files},
            torch_config=TorchConfig(backend="nccl" if gpu else "gloo", timeout_s=int(self.timeout_s)),
            scaling_config=ScalingConfig(num_workers=self.num, use_gpu=gpu, resources_per_worker={"CPU": cpus}),
            run_config=RunConfig(
                name="ray",
                storage_path=str(self.folder),
                failure_config=FailureConfig(max_failures=self.max_failures),
            ),
        )
        try:
            trainer.fit()
        except SystemExit as stopped:  # how Ray Train answers Ctrl-C, once it has ended its workers
            raise KeyboardInterrupt from stopped
        except WorkerGroupError as error:
            first = next(iter(error.worker_failures.values()), error)
            raise Fault(f"the workers failed {self.max_failures + 1} times: {first}") from error


def _on_rank(config: dict[str, Any]) -> None:
    """What a Ray worker runs. A Fault is no failure that another try would mend: it is handed over."""
    import ray.train
    from ray.train.torch import get_device

    context = ray.train.get_context()
    torch.set_num_threads(config["cpus"])
    group = Group(context.get_world_rank(), context.get_world_size(), get_device())
    began = time.perf_counter()
    try:
        config["function"](config["payload"], group)
    except Fault as fault:
        write_json(Path(config["fault"]), {"message": str(fault)})
    if group.leads:
        write_json(Path(config["clock"]), {"seconds": time.perf_counter() - began})


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise Fault("train.device cuda: this machine offers no CUDA device; set it to auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
