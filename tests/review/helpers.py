"""A project whose versions are told apart by what was measured of them."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.review.config import ReviewConfig
from components.review.pictured import PicturedReview, look
from components.storage.files import read_json, write_json
from components.tracking.config import RegisterConfig
from components.tracking.record import Outputs, gather
from components.tracking.registry import register_all
from components.tracking.run import log_record
from components.tracking.store import Store
from tests.stage_outputs import KEY, figure, replicates

MLFLOW_WARNS = [
    # mlflow's own: its tables still use a loader strategy that SQLAlchemy 2.1 is leaving,
    pytest.mark.filterwarnings("ignore:.*noload.*:DeprecationWarning"),
    # and its types of chat messages trip its own check of type hints when it is imported.
    pytest.mark.filterwarnings("ignore:.*AnyType:UserWarning"),
]
FID, KID, IOU = "fid_efficientnet_lite0", "kid_efficientnet_lite0", "fcn_class_iou"
RULES = ReviewConfig(require=(FID,), no_worse_than={IOU: 0.02}, floors={FID: "input"}, pictures=3)


@dataclass
class Project:
    """Outputs of the stages, registered again with other figures for each version."""

    root: Path
    store: Store
    rules: ReviewConfig = RULES
    first: dict[str, Any] = field(default_factory=dict)

    def register(self, fid: float = 1.0, iou: float = 1.0, noise: float = 0.0, **protocol: Any) -> int:
        """A version whose model has so many times the first figures; gives its number.

        Args:
            noise: relative, of its FID alone on each resampled set. protocol: parts that differ.
        """
        data = self.root / "data"
        path, table = data / "metrics/rows.json", data / "metrics/replicates/labels_to_photo.parquet"
        self.first = self.first or read_json(path)
        measured = read_json(path)["labels_to_photo"] | {"rows": self.first["labels_to_photo"]["rows"]}
        rows = {name: dict(row) for name, row in measured["rows"].items()}
        rows["model"] |= {FID: figure(160.0 * fid), IOU: figure(0.14 * iou)}
        measured = measured | {"rows": rows, "protocol": self.first["labels_to_photo"]["protocol"] | protocol}
        write_json(path, {"labels_to_photo": measured}, in_order=True)
        columns = replicates(rows)
        own = np.random.default_rng(len(self.first)).normal(size=200)
        columns[f"model/{FID}"] = (np.array(columns[f"model/{FID}"]) * (1 + noise * own)).tolist()
        pq.write_table(pa.table(columns), table)
        timed = self.root / f".pix2pipe/runs/{KEY}/throughput.json"
        outputs = Outputs(data / "runs", data / "generated", data / "metrics", timed, self.root / "dvc.lock")
        run_id = log_record(self.store, gather(outputs, "b" * 40))
        return int(
            register_all(self.store, run_id, outputs, RegisterConfig(model="tiny"))["labels_to_photo"]["version"]
        )

    def look(self, version: int | str) -> PicturedReview:
        """Review a version as the stage and the command do."""
        return look(self.store, "tiny", str(version), self.rules, self.root / "data/shards", self.root / "seen")

    def champion(self) -> int | None:
        """The version that MLflow's alias is on."""
        aliases = self.store.client.get_registered_model("tiny").aliases
        return int(aliases["champion"]) if "champion" in aliases else None


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """A server of its own on loopback, with its database and artifacts in `folder`; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/server.db",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    log = (folder / "server.log").open("w")
    server = subprocess.Popen(
        command, cwd=folder, env=os.environ | quiet, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 180
        while True:
            assert server.poll() is None, (folder / "server.log").read_text()
            assert time.monotonic() < deadline, (folder / "server.log").read_text()
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        os.killpg(server.pid, 15)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, 9)
            server.wait()
        log.close()
        shutil.rmtree(folder / "files", ignore_errors=True)
