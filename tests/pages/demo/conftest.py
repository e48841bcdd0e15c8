"""A registry with versions to serve, in a project folder."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from components.models.card import read_cards
from components.systems.parts import PatchGANConfig, UNetConfig
from components.systems.translation.pix2pix import Pix2PixConfig
from components.tracking.config import RegisterConfig
from components.tracking.reachable import URI
from components.tracking.record import Outputs, gather
from components.tracking.registry import register_all, register_translator
from components.tracking.run import log_record
from components.tracking.store import Store, open_store
from tests.stage_outputs import BOTH_WAYS, KEY, SYSTEM, build_outputs

ROOT = Path(__file__).parents[3]
WIDER = Pix2PixConfig(generator=UNetConfig(width=6, levels=3), discriminator=PatchGANConfig(width=4), patch_size=16)


@dataclass(frozen=True)
class Registry:
    """A project: `tiny` 1 and 2 translate labels, 3 photos; `both` goes both ways; all have the alias candidate."""

    root: Path
    store: Store

    def artifact(self, number: int, name: str) -> Path:
        """A file of a version of tiny."""
        place = self.store.client.get_model_version_download_uri("tiny", str(number))
        return Path(place.removeprefix("file://")) / "artifacts" / name


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory, tiny_shards: Path) -> Registry:
    root = tmp_path_factory.mktemp("project")
    store = open_store(f"sqlite:///{root}/.pix2pipe/mlflow.db", root / ".pix2pipe", "pix2pipe")
    for name, model, system in (("a", "tiny", SYSTEM), ("b", "tiny", WIDER), ("c", "both", BOTH_WAYS)):
        data = build_outputs(root / name, tiny_shards, system) / "data"
        timed = root / name / f".pix2pipe/runs/{KEY}/throughput.json"
        outputs = Outputs(data / "runs", data / "generated", data / "metrics", timed, root / "dvc.lock")
        run = log_record(store, gather(outputs, "b" * 40))
        register_all(store, run, outputs, RegisterConfig(model=model))
    back = read_cards(root / "c/data/generated")[1]
    folder = root / "c/data/generated" / back.name
    replicates = root / f"c/data/metrics/replicates/{back.name}.parquet"
    register_translator(store, run, folder, {"protocol": {"hash": "ab" * 32}}, replicates, "tiny", "candidate")
    store.client.set_registered_model_alias("tiny", "candidate", "2")
    (root / "data").mkdir()
    (root / "data/shards").symlink_to(tiny_shards)
    params = (ROOT / "params.yaml").read_text()
    (root / "params.yaml").write_text(params.replace("model: pix2pix-earth", "model: tiny"))
    return Registry(root, store)


@contextmanager
def command(root: Path, *arguments: str) -> Iterator[tuple[int, str, IO[str]]]:
    """`pix2pipe demo` in a process of its own: its id, its address, and what it goes on to say."""
    environment = {name: value for name, value in os.environ.items() if name not in (URI, "PIX2PIPE_ROOT")}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    line = [sys.executable, "-m", "pipelines.cli", "demo", "--port", "0", *arguments]
    with (
        (root / "demo.log").open("w+") as log,
        subprocess.Popen(line, cwd=root, env=environment, stderr=log, text=True) as process,
        (root / "demo.log").open() as said,
    ):
        try:
            text = ""
            while "the demo at " not in text:
                assert process.poll() is None, text
                time.sleep(0.1)
                text += said.read()
            yield process.pid, text.partition("the demo at ")[2].split("/ (")[0], said
        finally:
            process.terminate()
            process.wait(60)
