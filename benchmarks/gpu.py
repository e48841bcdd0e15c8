"""What a GPU makes of a step, of a resume and of the data: `python -m benchmarks.gpu`, five minutes on one card.

The steps: pix2pix and CycleGAN at the papers' setting (256 pixels) and the default system (64), at several batch sizes,
in float32 (with TF32) and bfloat16. Of each the milliseconds a step: `plain`, the authors' arithmetic as a script would
write it, on one batch; `eager` and `graph`, Trainer.step on one batch; `data`, as a graph and fed by the loader, once
with its pictures from the host and once with all of them on the GPU. `peak` is the share of the card's matrix rate, as
measured here, that the graph's convolutions and products come to.

Then 300 steps straight against 150, a resume and 150, deterministic and not; and the loader alone. On a CPU it runs
too, without graphs and with smaller networks, so that it never rots.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.plain import plain_cyclegan, plain_pix2pix
from benchmarks.step import make_shards
from components.storage.yaml_file import read_yaml
from components.systems import AnySystemConfig, SystemConfig, build
from components.systems.translation.pix2pix import Pix2PixConfig
from components.training.config import TrainConfig
from components.training.feed import Feed
from components.training.group import Group
from components.training.loop import fit
from components.training.numerics import numerics
from components.training.run import Run, plan
from components.training.trainer import Trainer

KINDS = ("plain", "eager", "graph", "host", "device")
SAMPLES = 128


@dataclass(frozen=True)
class Setting:
    """A system as it is measured: its params, the size of its pictures, its batches."""

    name: str
    system: AnySystemConfig
    train: dict[str, Any]
    size: int
    batches: tuple[int, ...]


def settings(small: bool) -> list[Setting]:
    """The three systems; small, with few channels, where there is no GPU."""
    papers = {name: f"configs/papers/{name}.yaml" for name in ("pix2pix", "cyclegan")}
    batches = {"pix2pix": (1, 16, 64), "cyclegan": (1, 16), "default": (16, 64, 256)}
    found = []
    for name, file in (papers | {"default": "params.yaml"}).items():
        held = read_yaml(Path(file))
        if small and name != "default":
            held["system"]["generator"]["width"] = held["system"]["discriminator"]["width"] = 4
        train = {key: held["train"][key] for key in ("augment", "betas", "ema", "labels") if key in held["train"]}
        system: AnySystemConfig = TypeAdapter(SystemConfig).validate_python(held["system"])
        size = 64 if small or name == "default" else 256
        found.append(Setting(name, system, train, size, (4,) if small else batches[name]))
    return found


def run_of(setting: Setting, shards: Path, folder: Path, batch: int, **train: Any) -> Run:
    """A run that is long enough never to end here."""
    held = setting.train | {"steps": 10**6, "batch_size": batch, "cache": "host", "loader_threads": 8} | train
    return plan(setting.system, TrainConfig(**held), shards, folder)


def per_step(step: Callable[[int], None], device: torch.device, seconds: float) -> float:
    """Milliseconds a step: of as many as fit into some seconds, after three that warm up."""
    for index in range(3):
        step(index)
    _wait(device)
    began, index = time.perf_counter(), 3
    while index < 8 or time.perf_counter() - began < seconds:
        step(index)
        index += 1
        if index % 5 == 0:
            _wait(device)  # so that the clock sees the work and not the queue
    _wait(device)
    return 1000 * (time.perf_counter() - began) / (index - 3)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def through_the_loop(run: Run, device: torch.device, kind: str) -> Callable[[int], None]:
    """A step of Trainer: on one batch that lies on the device, or fed."""
    group, shape = Group(device=device), run.shape()
    torch.manual_seed(0)
    feed = Feed(run, shape, group)
    if kind in ("host", "device"):
        trainer = Trainer(build(run.system, shape), run.train, 10**6, group, feed.prepare)
        inputs = feed.inputs(0, 10**6)
        return lambda index: trainer.step(index, next(inputs))
    trainer = Trainer(build(run.system, shape), run.train, 10**6, group)
    batch = feed.prepare({name: value.to(device) for name, value in next(feed.inputs(0, 1)).items()})
    return lambda index: trainer.step(index, batch)


def plainly(run: Run, device: torch.device) -> Callable[[int], None]:
    """A step as the authors' scripts write it, on one batch."""
    shape, group = run.shape(), Group(device=device)
    torch.manual_seed(0)
    feed = Feed(run, shape, group)
    networks = build(run.system, shape).networks.to(device)
    batch = feed.prepare({name: value.to(device) for name, value in next(feed.inputs(0, 1)).items()})
    batch = {name: value.contiguous() for name, value in batch.items()}
    low = torch.autocast(device.type, torch.bfloat16, enabled=run.train.precision == "bfloat16")
    config = run.system
    step = (
        plain_pix2pix(networks, batch, config.lambda_l1)
        if isinstance(config, Pix2PixConfig)
        else plain_cyclegan(networks, batch)
    )

    def taken(index: int) -> None:
        with low:
            step(index)

    return taken


def matrix_rate(device: torch.device, precision: str) -> float:
    """Operations a second that the card reaches on a large product."""
    side = 8192 if device.type == "cuda" else 512
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / (per_step(lambda _: torch.mm(a, b).sum() and None, device, 0.2) / 1000)


def operations(run: Run, device: torch.device) -> int:
    """Of the convolutions and products of one eager step."""
    step = through_the_loop(run, device, "eager")
    with FlopCounterMode(display=False) as counter:
        step(0)
    return int(counter.get_total_flops())


def measure(
    setting: Setting, shards: Path, device: torch.device, seconds: float, only: set[str]
) -> list[dict[str, Any]]:
    """Rows of the table."""
    rows = []
    for batch in setting.batches:
        for precision in ("float32", "bfloat16"):
            row: dict[str, Any] = {"system": setting.name, "size": setting.size, "batch": batch, "precision": precision}
            with tempfile.TemporaryDirectory() as folder:
                for kind in KINDS:
                    if kind not in only or (kind == "plain" and setting.name == "default"):
                        continue
                    if device.type == "cpu" and kind in ("graph", "device"):
                        continue
                    how = {"graphs": "off" if kind == "eager" else "auto"}
                    how |= {"cache": "device"} if kind == "device" else {}
                    run = run_of(setting, shards, Path(folder), batch, precision=precision, device=device.type, **how)
                    with numerics(run.train, device):
                        step = plainly(run, device) if kind == "plain" else through_the_loop(run, device, kind)
                        row[kind] = round(per_step(step, device, seconds), 2)
                run = run_of(setting, shards, Path(folder), batch, precision=precision, graphs="off")
                with numerics(run.train, device):
                    done, rate = operations(run, device), matrix_rate(device, precision)
            best = min(row[kind] for kind in KINDS if kind in row)
            row["images_per_second"] = round(1000 * batch / best, 1)
            row["peak"] = round(done / (best / 1000) / rate, 3)
            print(json.dumps(row), flush=True)
            rows.append(row)
    return rows


def resumed(setting: Setting, shards: Path, device: torch.device, steps: int) -> list[dict[str, Any]]:
    """The largest difference of any weight between a straight run and one that was stopped half-way."""
    rows = []
    for deterministic in (True, False):
        found, took = [], []
        for graphs, until in (("auto", None), ("auto", steps // 2), ("off", None)):
            with tempfile.TemporaryDirectory() as folder:
                how = {"deterministic": deterministic, "graphs": graphs, "device": device.type, "cache": "auto"}
                how |= {"steps": steps, "checkpoint_every": steps, "validation_samples": 16, "log_every": 50}
                run = plan(
                    setting.system, TrainConfig(**(setting.train | {"batch_size": 4} | how)), shards, Path(folder)
                )
                began = time.perf_counter()
                for end in (until, None) if until else (None,):
                    fit(run, Group(device=device), end)
                took.append(round(time.perf_counter() - began, 2))
                last = run.checkpoints.last()
                assert last is not None
                found.append(last.weights())
        straight, cut, eager = found
        row = {"system": setting.name, "deterministic": deterministic, "steps": steps, "seconds": took}
        for name, other in (("resume", cut), ("eager", eager)):
            row[name] = max(float((straight[key].float() - other[key].float()).abs().max()) for key in straight)
        print(json.dumps(row), flush=True)
        rows.append(row)
    return rows


def loader_alone(shards: Path, device: torch.device, seconds: float) -> list[dict[str, Any]]:
    """Pairs a second at 256 pixels, decoded, stacked and jittered, with and without memory for what was decoded."""
    setting = settings(small=False)[0]
    rows = []
    for threads, cache_mb in ((1, 0), (4, 0), (16, 0), (4, 1024)):
        with tempfile.TemporaryDirectory() as folder:
            how = {"loader_threads": threads, "cache_mb": cache_mb, "device": device.type}
            run = run_of(setting, shards, Path(folder), 64, **how)
            feed = Feed(run, run.shape(), Group(device=device))
            inputs, taken = feed.inputs(0, 10**6), 0
            for _ in range(SAMPLES // 64 + 2):
                next(inputs)
            _wait(device)
            began = time.perf_counter()
            while time.perf_counter() - began < seconds:
                feed.prepare({name: value.to(device, non_blocking=True) for name, value in next(inputs).items()})
                taken += 64
            _wait(device)
            row = {
                "threads": threads,
                "cache_mb": cache_mb,
                "pairs_per_second": round(taken / (time.perf_counter() - began)),
            }
        print(json.dumps(row), flush=True)
        rows.append(row)
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Measure and print a line of JSON for each row, with all of it in a file beside."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="where to write the JSON")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement (default 0.5)")
    parser.add_argument("--systems", nargs="+", default=["pix2pix", "cyclegan", "default"])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--parts", nargs="+", default=["step", "resume", "loader"], help="which parts (default all)")
    parser.add_argument("--batches", type=int, nargs="+", help="only these")
    parser.add_argument("--steps", type=int, default=300, help="of the resumed runs (default 300)")
    asked = parser.parse_args(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    small = device.type == "cpu"
    card = torch.cuda.get_device_name() if not small else "CPU"
    found: dict[str, Any] = {"card": card, "torch": torch.__version__, "step": [], "resume": [], "loader": []}
    print(json.dumps({"card": card, "torch": torch.__version__}), flush=True)
    with tempfile.TemporaryDirectory() as name:
        sizes = (64,) if small else (64, 256)
        shards = {size: make_shards(Path(name) / str(size), size, 64 if small else SAMPLES) for size in sizes}
        chosen = [setting for setting in settings(small) if setting.name in asked.systems]
        for setting in chosen:
            wanted = tuple(b for b in setting.batches if b in (asked.batches or setting.batches))
            setting = Setting(setting.name, setting.system, setting.train, setting.size, wanted)
            if "step" in asked.parts:
                found["step"] += measure(setting, shards[setting.size], device, asked.seconds, set(asked.kinds))
            if "resume" in asked.parts:
                found["resume"] += resumed(setting, shards[setting.size], device, asked.steps)
        if "loader" in asked.parts:
            found["loader"] = loader_alone(shards[max(sizes)], device, 4 * asked.seconds)
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
