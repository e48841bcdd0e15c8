"""An epoch of 10^8 samples in 10^5 shards for 1 to 1,024 ranks: `python -m benchmarks.scale`.

About half a minute of a core for each number of ranks. Nothing is trained: a manifest of shards that do not
exist is written, and planned from by the classes that train (Split, Stream). A rank plans in a fresh process,
which is timed and weighed; then all ranks' samples of an epoch are dealt in this one, and counted: each once,
and the shards that each node must read for them.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from components.samples.domain import Domain
from components.samples.task import Task
from components.shards.loader import Stream
from components.shards.manifest import IndexEntry, Manifest, ShardEntry
from components.shards.order import windows_at_once
from components.shards.reader import Split
from components.storage.files import write_json
from components.training.config import TrainConfig

TRAIN = TrainConfig(steps=1)  # its defaults
CHUNK = 1 << 18


def write_manifest(folder: Path, samples: int, shards: int, sample_bytes: int) -> None:
    """A manifest of `samples` samples of `sample_bytes` in as equal shards as can be."""
    sizes = np.diff(np.arange(shards + 1) * samples // shards).tolist()
    entries = tuple(
        ShardEntry(f"train/{i:06d}.tar", hashlib.sha256(str(i).encode()).hexdigest(), size * sample_bytes, size)
        for i, size in enumerate(sizes)
    )
    photo = Domain(kind="image", size=(64, 64))
    Manifest(
        source="synthetic",
        domains={"a": photo, "b": photo},
        task=Task(source="a", target="b"),
        splits={"train": entries},
        totals={"train": {}},
        index=IndexEntry(sha256="", bytes=0),
    ).write(folder)


def open_stream(folder: Path, rank: int, world: int, arguments: argparse.Namespace) -> Stream:
    """What a rank of a training opens."""
    return Stream(
        Split(folder, "train"),
        arguments.batch_per_rank * world,
        seed=0,
        rank=rank,
        world=world,
        shuffle_shards=arguments.shuffle_shards,
        lanes=arguments.lanes,
    )


def as_rank(folder: Path, rank: int, world: int, step: int, arguments: argparse.Namespace) -> None:
    """Plan in this process, which is fresh, and print what it took."""
    imported = memory("VmRSS")
    wall, processor = time.perf_counter(), time.process_time()
    open_stream(folder, rank, world, arguments).indices(step)
    figures = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - processor}
    print(json.dumps(figures | {"plan_mb": memory("VmHWM") - imported, "peak_mb": memory("VmHWM")}))


def memory(name: str) -> float:
    """Resident memory of this process in MB, present (VmRSS) or greatest (VmHWM)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1000
    raise SystemExit("/proc/self/status: not found; this benchmark needs Linux")


def fresh(folder: Path, rank: int, world: int, step: int, arguments: argparse.Namespace) -> dict[str, float]:
    """`as_rank` in a process of its own."""
    options = [f"--{name.replace('_', '-')}={getattr(arguments, name)}" for name in PLAN]
    command = [sys.executable, "-m", "benchmarks.scale", "--as-rank", str(folder), str(rank), str(world), str(step)]
    figures: dict[str, float] = json.loads(subprocess.run(command + options, check=True, stdout=subprocess.PIPE).stdout)
    return figures


def deal(folder: Path, world: int, arguments: argparse.Namespace, bar: Any) -> dict[str, Any]:
    """Deal an epoch to all ranks, count it, and weigh the shards that each node reads.

    Raises:
        SystemExit: a sample is not dealt exactly once, or ranks take unequal steps.
    """
    split = Split(folder, "train")
    n, batch = len(split), arguments.batch_per_rank * world
    steps = -(-n // batch)
    shard_of = np.repeat(np.arange(len(split.sizes), dtype=np.int32), split.sizes)
    weights = np.array([entry.bytes for entry in split.manifest.splits["train"]])
    seen, dealt = np.zeros(n, bool), 0
    shares, nodes = set(), []
    for first in range(0, world, arguments.ranks_per_node):
        ranks = range(first, min(first + arguments.ranks_per_node, world))
        streams = [open_stream(folder, rank, world, arguments) for rank in ranks]
        shares |= {len(stream.positions(step)) for stream in streams for step in (0, steps // 2, steps - 1)}
        slots = np.concatenate([np.array(stream.positions(0)) for stream in streams])
        touched = np.zeros(len(weights), bool)
        rows = CHUNK // len(slots) + 1
        for step in range(0, steps, rows):
            positions = np.add.outer(np.arange(step, min(step + rows, steps)) * batch, slots).ravel()
            indices = streams[0].order.indices(positions[positions < n])
            seen[indices] = True
            touched[shard_of[indices]] = True
            dealt += len(indices)
            bar.update(len(indices))
        nodes.append(int(weights[touched].sum()))
    if dealt != n or not seen.all() or len(shares) != 1:
        raise SystemExit(f"{world} ranks: {dealt} dealt, {int(seen.sum())} of {n} seen, {shares} a step")
    # What a node needs at hand to begin, or to go on in the middle with nothing kept: its lanes' windows.
    at_once = windows_at_once(batch, len(nodes), arguments.lanes) // 3 * arguments.shuffle_shards
    return {
        "ranks": world,
        "nodes": len(nodes),
        "batch": batch,
        "steps": steps,
        "node_bytes": max(nodes),
        "ideal_bytes": int(weights.sum()) / len(nodes),
        "all_bytes": int(weights.sum()),
        "fetch_bytes": min(at_once, len(weights)) * float(weights.mean()),
    }


PLAN = ("batch_per_rank", "shuffle_shards", "lanes")
HEAD = (
    "ranks nodes  batch    steps  start s (cpu)  resume s (cpu)  plan MB  process MB  node GB  /ideal   /all  fetch GB"
)


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    cells = [f"{row[name]:{width}d}" for name, width in (("ranks", 5), ("nodes", 5), ("batch", 6), ("steps", 8))]
    cells += [f"{row[f'{when}_wall_s']:6.2f} ({row[f'{when}_cpu_s']:4.2f})" for when in ("start", "resume")]
    cells += [f"{max(row[f'{when}_{name}'] for when in ('start', 'resume')):8.0f}" for name in ("plan_mb", "peak_mb")]
    cells += [f"{row['node_bytes'] / 1e9:9.1f}"]
    cells += [f"{row['node_bytes'] / row[name]:6.3f}" for name in ("ideal_bytes", "all_bytes")]
    return "  ".join([*cells, f"{row['fetch_bytes'] / 1e9:7.2f}"])


def main(given: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10**8)
    parser.add_argument("--shards", type=int, default=10**5)
    parser.add_argument("--ranks", type=int, nargs="+", default=[2**i for i in range(11)])
    parser.add_argument("--batch-per-rank", type=int, default=16)
    parser.add_argument("--ranks-per-node", type=int, default=8)
    parser.add_argument("--sample-bytes", type=int, default=8658, help="default: those of the Earth's tiles of 64 px")
    parser.add_argument("--shuffle-shards", type=int, default=TRAIN.shuffle_shards)
    parser.add_argument("--lanes", type=int, default=TRAIN.lanes)
    parser.add_argument("--out", type=Path, help="write the figures here too, as JSON")
    parser.add_argument("--as-rank", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args(given)
    if arguments.as_rank:
        folder, *numbers = arguments.as_rank
        as_rank(Path(folder), *map(int, numbers), arguments)
        return
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_manifest(folder, arguments.samples, arguments.shards, arguments.sample_bytes)
        size = (folder / "manifest.json").stat().st_size
        print(f"{arguments.samples:,} samples in {arguments.shards:,} shards, manifest of {size / 1e6:.1f} MB")
        print(HEAD, flush=True)
        with tqdm(total=arguments.samples * len(arguments.ranks), unit="sample", unit_scale=True, disable=None) as bar:
            for world in arguments.ranks:
                row = deal(folder, world, arguments, bar)
                first = fresh(folder, world // 2, world, 0, arguments)
                later = fresh(folder, world // 2, world, row["steps"] // 2 + row["steps"], arguments)
                row |= {f"start_{key}": value for key, value in first.items()}
                row |= {f"resume_{key}": value for key, value in later.items()}
                rows.append(row)
                tqdm.write(line(row), file=sys.stdout)
                sys.stdout.flush()
    if arguments.out:
        write_json(arguments.out, {"manifest_bytes": size, "rows": rows})


if __name__ == "__main__":
    main()
