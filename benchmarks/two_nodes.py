"""Two nodes with a network of their own each, as two machines have: what they cost, and one of them killed.

`python -m benchmarks.two_nodes`, by root (it makes two network namespaces and removes them). It trains a run
on two nodes, on one, and on two of which one is killed and started again; compares the weights; counts the bytes
that cross between the nodes; and lets a node have a disk of its own, which must be refused. Minutes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks.step import make_shards
from components.cluster.workers import RANKS, Workers
from components.faults import Fault
from components.params import load_params
from components.storage.files import read_json
from components.systems import build
from components.training import log
from components.training.clock import THROUGHPUT
from components.training.config import TrainConfig
from components.training.loop import fit
from components.training.run import Run, plan
from tests.cluster.nodes import ENVIRONMENT, Nodes

HEAD, OTHER = "10.99.7.1", "10.99.7.2"
WARM_UP = 10


@contextmanager
def two_networks() -> Iterator[dict[str, tuple[str, ...]]]:
    """Two network namespaces joined by a cable; gives the command prefix that enters the one of each address."""
    names = {HEAD: "pix2pipe-a", OTHER: "pix2pipe-b"}
    for name in names.values():
        subprocess.run(["ip", "netns", "delete", name], capture_output=True)
        subprocess.run(["ip", "netns", "add", name], check=True)
    cable = ["ip", "link", "add", "cable", "netns", names[HEAD], "type", "veth", "peer", "name", "cable"]
    subprocess.run([*cable, "netns", names[OTHER]], check=True)
    prefixes = {address: ("ip", "netns", "exec", name) for address, name in names.items()}
    for address, prefix in prefixes.items():
        subprocess.run([*prefix, "ip", "address", "add", f"{address}/24", "dev", "cable"], check=True)
        for device in ("lo", "cable"):
            subprocess.run([*prefix, "ip", "link", "set", device, "up"], check=True)
        # A program asks for the way to the outside to learn its own address; Ray does.
        subprocess.run([*prefix, "ip", "route", "add", "default", "dev", "cable"], check=True)
    try:
        yield prefixes
    finally:
        for name in names.values():
            subprocess.run(["ip", "netns", "delete", name], check=True)


def sent(prefix: tuple[str, ...]) -> int:
    """Bytes that a node has sent over the cable."""
    read = subprocess.run([*prefix, "cat", "/sys/class/net/cable/statistics/tx_bytes"], capture_output=True, check=True)
    return int(read.stdout)


class Bench:
    """The cluster, and runs on it."""

    def __init__(self, nodes: Nodes, shards: Path, root: Path, steps: int, batch: int) -> None:
        self.nodes, self.shards, self.root, self.steps, self.batch = nodes, shards, root, steps, batch

    def plan(self, name: str, placement: str) -> Run:
        """The default system for a few steps, in a folder `name`."""
        return planned(self.shards, self.root / name, self.settings(placement))

    def settings(self, placement: str) -> dict[str, object]:
        """Two ranks of one CPU each, somewhere."""
        return {
            "num_workers": 2,
            "cpus_per_worker": 1,
            "device": "cpu",
            "placement": placement,
            "steps": self.steps,
            "batch_size": self.batch,
            "checkpoint_every": max(1, self.steps // 3),
            "log_every": 5,
            "validation_samples": 16,
            "timeout_s": 120,
        }

    def start(self, name: str, placement: str) -> "subprocess.Popen[str]":
        """Start a driver on the head."""
        what = [str(self.shards), str(self.root / name), json.dumps(self.settings(placement))]
        command = [*self.nodes.prefix, sys.executable, "-W", "ignore", "-m", "benchmarks.two_nodes", "--drive", *what]
        environment = os.environ | ENVIRONMENT | {"RAY_ADDRESS": self.nodes.address, "GLOO_SOCKET_IFNAME": "cable"}
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def planned(shards: Path, root: Path, settings: dict[str, object]) -> Run:
    """A run of the default system."""
    return plan(load_params(Path("params.yaml")).system, TrainConfig.model_validate(settings), shards, root)


def finish(driver: "subprocess.Popen[str]", status: int = 0) -> str:
    """Wait for a driver and show what it said."""
    _, said = driver.communicate(timeout=900)
    for line in said.splitlines():
        if line.startswith("train: "):  # not what Ray adds of a node that died
            print(f"    {line}")
    assert driver.returncode == status, f"exit status {driver.returncode}"
    return said


def last_step(run: Run) -> int:
    """The last step that a run has logged."""
    return max((record["step"] for record in log.read(run.folder)), default=0)


def same(a: Run, b: Run) -> str:
    """Whether two runs ended with the same weights."""
    one, two = a.checkpoints.last(), b.checkpoints.last()
    assert one is not None
    assert two is not None
    assert one.step == two.step
    x, y = one.weights(), two.weights()
    equal = all(torch.equal(x[key], y[key]) for key in x)
    return (
        "bitwise equal" if equal else f"DIFFERENT, by {max((x[k].double() - y[k].double()).abs().max() for k in x):.2g}"
    )


def on_two_nodes(bench: Bench, prefixes: dict[str, tuple[str, ...]]) -> Run:
    """An uninterrupted run, and the bytes of its all-reduces."""
    run = bench.plan("whole", "STRICT_SPREAD")
    driver = bench.start("whole", "STRICT_SPREAD")
    marks: list[tuple[int, int, int]] = []
    first, end = WARM_UP, run.train.checkpoint_every - 5  # no validation and no checkpoint between them
    while driver.poll() is None and last_step(run) < end:
        if not marks and last_step(run) >= first:
            marks.append((last_step(run), sent(prefixes[HEAD]), sent(prefixes[OTHER])))
        time.sleep(0.01)
    marks.append((last_step(run), sent(prefixes[HEAD]), sent(prefixes[OTHER])))
    finish(driver)
    print("  node ranks:", [rank["node_rank"] for rank in read_json(run.folder / RANKS)["ranks"]])
    steps = marks[-1][0] - marks[0][0]
    out, back = ((marks[-1][i] - marks[0][i]) / steps for i in (1, 2))
    learned = 4 * sum(p.numel() for net in build(run.system, run.shape()).networks.values() for p in net.parameters())
    print(f"  bytes a step over {steps} steps: {out:,.0f} sent by {HEAD}, {back:,.0f} by {OTHER}")
    print(f"  arithmetic: {learned:,} bytes of gradients; an all-reduce of two ranks sends as many from each")
    print(f"  ratio {out / learned:.3f} and {back / learned:.3f}")
    return run


def main() -> None:
    """Run all of it and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=120, help="steps of each run (default 120)")
    parser.add_argument("--batch", type=int, default=16, help="global batch size (default 16)")
    parser.add_argument("--drive", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.drive:
        shards, root, settings = arguments.drive
        run = planned(Path(shards), Path(root), json.loads(settings))
        try:
            Workers.of(run).run(fit, run)
        except Fault as fault:
            sys.exit(f"train: {fault}")
        return
    with two_networks() as prefixes, tempfile.TemporaryDirectory(prefix="p2p", dir="/tmp") as name:
        own = Path(name) / "own"  # the other node sees a disk of its own here, and Ray's temporary files lie there
        own.mkdir()
        shards = make_shards(Path(name) / "shards", 64)
        with Nodes(2, HEAD, prefixes[HEAD], own, "cable") as nodes:
            bench = Bench(nodes, shards, Path(name) / "runs", arguments.steps, arguments.batch)
            apart = ("unshare", "-m", "sh", "-c", f'mount -t tmpfs none "{own}" && exec "$@"', "sh")
            other = nodes.join(prefix=(*prefixes[OTHER], *apart))
            nodes.await_nodes(2)
            print("two nodes:")
            whole = on_two_nodes(bench, prefixes)
            print("one node:")
            finish(bench.start("one", "STRICT_PACK"))
            one = bench.plan("one", "STRICT_PACK")
            print("  weights against two nodes:", same(whole, one))
            two_rate, one_rate = (read_json(r.folder / THROUGHPUT)["images_per_second"] for r in (whole, one))
            print(f"  images/s: two nodes {two_rate:.1f}, one {one_rate:.1f}: ratio {two_rate / one_rate:.2f}")
            print("two nodes, one killed and started again:")
            cut = bench.plan("cut", "STRICT_SPREAD")
            driver = bench.start("cut", "STRICT_SPREAD")
            while cut.checkpoints.last() is None and driver.poll() is None:
                time.sleep(0.05)
            nodes.kill(other)
            killed, reached = time.monotonic(), last_step(cut)
            nodes.join(prefix=(*prefixes[OTHER], *apart))
            while driver.poll() is None and last_step(cut) <= reached:
                time.sleep(0.1)
            print(f"  steps go on {time.monotonic() - killed:.0f} s after the kill")
            finish(driver)
            print("  weights against no kill:", same(whole, cut))
            print("two nodes, a disk of its own each:")
            bench.root = own
            finish(bench.start("apart", "STRICT_SPREAD"), status=1)


if __name__ == "__main__":
    main()
