"""FID of every checkpoint that a run kept: how the figure falls with more steps.

Train with `train.keep_checkpoints: 100`, let `dvc repro` end, then run `python -m benchmarks.checkpoints`.
Each checkpoint translates the test split as `generate` does; floor and painter are those of data/metrics.
The learning rate of a checkpoint in the middle has not come down yet, so it is not what a run of that many
steps would end with.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from pydantic import TypeAdapter

from components.evaluation.features import efficientnet_lite0
from components.evaluation.frechet import frechet_distance
from components.models.card import GenerateConfig
from components.models.trained import Trained
from components.samples.task import Task
from components.shards.reader import Split
from components.systems import AnySystemConfig, SystemConfig
from components.training.checkpoint import CheckpointStore
from components.training.config import TrainConfig
from components.training.run import Run


def main() -> None:
    """Print step, FID and its excess over the floor as a share of the painter's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=Path, help="default: those of the run in data/runs")
    arguments = parser.parse_args()
    run = json.loads(Path("data/runs/run.json").read_text())
    folder = arguments.checkpoints or Path(".pix2pipe/runs") / run["key"] / "checkpoints"
    task = Task.model_validate(run["task"])
    metrics = json.loads(Path(f"data/metrics/{run['system']['name']}.json").read_text())
    rows = metrics[task.name]["rows"]
    floor, painter = (rows[name]["fid_efficientnet_lite0"]["value"] for name in ("floor", "mean_colour"))
    system = TypeAdapter[AnySystemConfig](SystemConfig).validate_python(run["system"])
    shards, test = Path("data/shards"), Split(Path("data/shards"), "test")
    shape = Run(system, TrainConfig.model_validate(run["train"]), shards, folder, task, run["key"]).shape()
    network = efficientnet_lite0()

    def features(pictures: np.ndarray) -> torch.Tensor:
        return torch.cat([network.extract(pictures[i : i + 8])[0] for i in range(0, len(pictures), 8)]).double()

    sources, photos = (np.stack([test.picture(i, name) for i in range(len(test))]) for name in task.domains)
    real = features(photos)
    print("step   fid    excess")
    for checkpoint in CheckpointStore(folder).all():
        lineage = {"checkpoint": "last", "step": checkpoint.step, "key": run["key"]}
        trained = Trained(checkpoint.weights(), system, shape, task, GenerateConfig(), lineage)
        made = trained.generators()[0].translate(sources)
        fid = frechet_distance(features(made), real)
        print(f"{checkpoint.step:5d}  {fid:6.1f}  {(fid - floor) / (painter - floor):.3f}", flush=True)


if __name__ == "__main__":
    main()
