"""A project folder with small outputs of every stage, as register and report find them."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from components.evaluation.evaluate import sample_protocol
from components.evaluation.headline import headline
from components.evaluation.measure import Subset
from components.models.card import Card, GenerateConfig
from components.models.generator import Generator
from components.models.trained import Trained
from components.samples.task import Task
from components.search.config import Dimension, TuneConfig
from components.search.ledger import Rung, Trial
from components.search.outcome import find_winner, write_outcome
from components.shards.manifest import Manifest
from components.shards.reader import Split
from components.shards.writer import write_set
from components.storage.files import sha256_file, write_json
from components.systems import AnySystemConfig, build
from components.systems.parts import PatchGANConfig, ResNetConfig, UNetConfig
from components.systems.system import Shape
from components.systems.translation.cyclegan import CycleGANConfig
from components.systems.translation.pix2pix import Pix2PixConfig
from components.tasks.encoding import render
from tests.conftest import TO_PHOTO

SYSTEM = Pix2PixConfig(generator=UNetConfig(width=4, levels=3), discriminator=PatchGANConfig(width=4), patch_size=16)
BOTH_WAYS = CycleGANConfig(
    generator=ResNetConfig(width=4, blocks=1), discriminator=PatchGANConfig(width=4), patch_size=16, lambda_identity=0
)
ROWS = ("model", "real", "floor", "mean_colour", "mismatched", "input")
KEY = "0123456789abcdef"


def build_outputs(root: Path, shards: Path, system: AnySystemConfig = SYSTEM) -> Path:
    """Write data/ and .pix2pipe/ below `root`, with the tiny shards and generators of random weights."""
    data = root / "data"
    shutil.copytree(shards, data / "shards")
    cards = _generated(data, system)
    _run(data / "runs", system)
    _grids(data, cards)
    _measured(data, cards)
    write_search(data / "tune")
    judge = {"ceiling": {s: {"pixel_accuracy": 0.9, "class_iou": 0.7} for s in ("val", "test")}, "key": KEY}
    write_json(data / "judge/judge.json", judge | {"weights_sha256": "ab" * 32, "manifest": "cd" * 32})
    write_json(data / "raw/source.json", {"name": "tiny", "licence": "CC0", "origin": "waves"})
    versions = {card.name: {"model": "tiny", "alias": "candidate", "version": i + 1} for i, card in enumerate(cards)}
    write_json(data / "registered/version.json", {"versions": versions}, in_order=True)
    work = root / ".pix2pipe"
    write_json(work / f"runs/{KEY}/throughput.json", {"images_per_second": 80.5, "seconds": {"steps": 40.0}})
    for i, (stage, seconds) in enumerate({"fetch": 4.0, "shard": 3.0, "train": 60.0, "generate": 5.0}.items()):
        parts = {"ray": 5.0, "steps": seconds - 6.0} if stage == "train" else {"write": seconds - 1}
        times = {"stage": stage, "started": 1e9 + 1000 * i, "ended": 1e9 + 1000 * i + seconds}
        write_json(work / f"timings/{stage}.json", times | {"parts": parts})
    return root


def write_search(out: Path) -> None:
    """A search of five trials as tune writes it: one failed, two pruned, and a finalist tried with another seed."""
    space = {
        "system.lambda_l1": Dimension(loguniform=(1, 300)),
        "system.adversarial": Dimension(choice=("lsgan", "hinge")),
    }
    config = TuneConfig(space=space, num_trials=5, num_seeds=2, finalists=1, max_steps=40, grace_steps=10)
    ends = {0: (0.2, 0.3), 1: (0.25, 0.5), 2: (0.1,), 3: (0.15,), 4: ()}
    trials = []
    for number, values in ends.items():
        rungs = [
            Rung(steps=step, value=v, low=v - 0.05, high=v + 0.05) for step, v in zip((10, 40), values, strict=False)
        ]
        point = {"system.lambda_l1": 3.0**number, "system.adversarial": ("lsgan", "hinge")[number % 2]}
        state = ("failed", "pruned", "finished")[len(rungs)]
        reason = "step 3: generator.l1 is not finite" if state == "failed" else ""
        trials.append(
            Trial(number=number, values=point, state=state, rungs=rungs, seconds=7.5, reason=reason, key="ab" * 8)
        )
    repeat = trials[1].model_copy(update={"repeat": 1, "rungs": (Rung(steps=40, value=0.44, low=0.4, high=0.5),)})
    trials.insert(2, repeat)
    winner = find_winner(config, trials, less_is_better=False)
    measured = {"figure": "fcn_class_iou", "less_is_better": False, "protocol": {"hash": "ef" * 32}}
    write_outcome(out, config, trials, winner, measured)


def figure(value: float, spread: float = 0.1) -> dict[str, float]:
    """A figure as evaluate writes it."""
    return {"value": value, "low": value * (1 - spread), "high": value * (1 + spread)}


def replicates(rows: dict[str, Any]) -> dict[str, list[float]]:
    """Figures on 200 resampled sets, as evaluate writes them: those of all rows rise and fall together."""
    together = np.random.default_rng(2).normal(size=200)
    return {
        f"{row}/{name}": (entry["value"] * (1 + 0.05 * together)).tolist()
        for row, entries in rows.items()
        for name, entry in entries.items()
        if "value" in entry
    }


def _generated(data: Path, system: AnySystemConfig) -> list[Card]:
    manifest = Manifest.read(data / "shards")
    shape = Shape(manifest.domains["labels"], manifest.domains["photo"])
    torch.manual_seed(0)
    # Weights as they are drawn give grey; these give pictures with something to compare.
    weights = {
        name: 8 * value if value.dim() == 4 else value
        for name, value in build(system, shape).networks.state_dict().items()
    }
    lineage = {"checkpoint": "last", "step": 40, "key": KEY}
    work, generate = data / ".work", GenerateConfig(batch_size=4)
    cards = Trained(weights, system, shape, TO_PHOTO, generate, lineage).write(work)
    for card in cards:
        source, target = card.task.source, card.task.target
        test, folder = Split(data / "shards", manifest.side("test", source)), data / "generated" / card.name
        batch = np.stack([test.picture(i, source) for i in range(len(test))])
        pictures = Generator.load(work / card.name, "cpu").translate(batch)
        made = [(key, {target: picture}) for key, picture in zip(test.keys, pictures, strict=True)]
        write_set(folder, "tiny", {target: manifest.domains[target]}, Task(target=target), {"test": made})
        for file in list((work / card.name).iterdir()):
            file.rename(folder / file.name)
    shutil.rmtree(work)
    return cards


def _run(run: Path, system: AnySystemConfig) -> None:
    checkpoints = {}
    for name, step in (("last", 40), ("best", 30)):
        folder = run / "checkpoints" / name
        folder.mkdir(parents=True)
        (folder / "weights.safetensors").write_bytes(bytes([step]) * 500)
        checkpoints[name] = {
            "step": step,
            "score": 0.3,
            "sha256": sha256_file(folder / "weights.safetensors"),
        }
    terms = ("discriminator.fake", "discriminator.real", "generator.adversarial", "generator.l1")
    lines = ["step," + ",".join(terms) + ",learning_rate"]
    for step in range(5, 45, 5):
        lines.append(f"{step},{0.5 / step},{0.4},{0.3 + 1 / step},{20 / step**0.5},0.0002")
    (run / "curves.csv").write_text("\n".join(lines) + "\n")
    (run / "validation.csv").write_text("step,l1\n" + "".join(f"{step},{1 / step}\n" for step in range(10, 50, 10)))
    write_json(
        run / "run.json",
        {
            "key": KEY,
            "system": system.model_dump(mode="json"),
            "train": {"steps": 40, "batch_size": 4, "augment": {"vertical_flip": True}, "num_workers": 2},
            "task": TO_PHOTO.model_dump(mode="json"),
            "manifest": Manifest.read(run.parent / "shards").sha256,
            "git_commit": "a" * 40 + "-dirty",
            "steps": 40,
            "parameters": {"generator": 9000, "discriminator": 4000},
            "checkpoints": checkpoints,
        },
    )


def _grids(data: Path, cards: list[Card]) -> None:
    manifest = Manifest.read(data / "shards")
    folder = data / "runs/samples"
    folder.mkdir()
    for step in (10, 20, 30, 40):
        rows = []
        for card in cards:
            made = Split(data / "generated" / card.name, "test")
            first, second = (Split(data / "shards", manifest.side("test", name)) for name in card.task.domains)
            shown = [(first, card.task.source), (made, card.task.target), (second, card.task.target)]
            for split, domain in shown if manifest.aligned else shown[:2]:
                pictures = np.stack([split.picture(i, domain) for i in range(4)])
                rows.append(np.concatenate(list(render(split.domains[domain], pictures)), axis=1))
        Image.fromarray(np.concatenate(rows)).save(folder / f"step_{step:06d}.png")


def _measured(data: Path, cards: list[Card]) -> None:
    manifest, metrics = Manifest.read(data / "shards"), {}
    for place, card in enumerate(cards):
        test = Split(data / "shards", manifest.side("test", card.task.source))
        classes = manifest.domains["labels"].classes if manifest.aligned else ()
        random = np.random.default_rng(1)
        rows: dict[str, Any] = {}
        for i, name in enumerate(ROWS):
            worse = (4 - i) % 6 + 1 + place
            rows[name] = {
                "fid_efficientnet_lite0": figure(32.0 * worse),
                "kid_efficientnet_lite0": figure(0.01 * worse),
            }
            if manifest.aligned and name != "floor":
                rows[name] |= {
                    "fcn_pixel_accuracy": figure(0.9 / worse),
                    "fcn_class_iou": figure(0.7 / worse),
                    "fcn_iou_per_class": {label: figure(0.8 / worse / (j + 1)) for j, label in enumerate(classes)},
                    "psnr": figure(30.0 / worse),
                }
        protocol = {"arithmetic": 1, "judge": "ab" * 32, "seed": 0, "classes": list(classes)}
        protocol["hash"] = ("ef", "12")[place] * 32
        asked = {"test": Split(data / "shards", manifest.side("test", card.task.target))}
        asked |= {} if manifest.aligned else {"sources": test}
        protocol |= {part: sample_protocol(Subset(split)).model_dump() for part, split in asked.items()}
        metrics[card.name] = {"protocol": protocol, "rows": rows, "lineage": card.model_dump(mode="json")}
        columns: dict[str, Any] = {"key": test.keys}
        for name in ("fcn_pixel_accuracy", "fcn_class_iou", "l1", "psnr", "ssim") if manifest.aligned else ():
            columns[name] = random.random(len(test)).tolist()
        for folder, table in (("per_sample", columns), ("replicates", replicates(rows))):
            (data / "metrics" / folder).mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(table), data / f"metrics/{folder}/{card.name}.parquet")
    write_json(data / "metrics/rows.json", metrics, in_order=True)
    write_json(data / "metrics/headline.json", headline(metrics), in_order=True)


def rewrite(path: Path, change: dict[str, Any]) -> None:
    """Change top-level values of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
