"""The part of its evaluation that a version keeps, so that later versions can be compared with it on the same
samples."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from components.faults import Fault
from components.models.card import CARD, Card, read_card
from components.storage.files import read_json, sha256_file, sha256_json
from components.tracking.registry import MEASURED, REPLICATES
from components.tracking.versions import Version


@dataclass(frozen=True)
class MeasuredVersion:
    """A version's files, each with the sha256 that it was registered with.

    Attributes:
        folder: that `Generator.load` takes.
        measured: what the evaluation found of it: protocol, rows, lineage.
        replicates: ROW/FIGURE -> (B,) float64, its value on each resampled test set.
    """

    version: Version
    folder: Path
    card: Card
    measured: dict[str, Any]
    replicates: dict[str, Tensor]


def read_measured(version: Version, folder: Path) -> MeasuredVersion:
    """Read what `fetch_version` brought.

    Raises:
        Fault: a file is missing, changed since it was registered, or the version is from before they were kept.
    """
    measured, table = folder / MEASURED, folder / REPLICATES
    if "replicates_sha256" not in version.tags:
        raise Fault(
            f"{version.name}: was registered without the files that a comparison needs; run dvc repro register again"
        )
    for path in (measured, table):
        if not path.is_file():
            raise Fault(f"{version.name}: the artifact {path.name} is missing; register it again")
    try:
        content = read_json(measured)
    except Fault:  # which would name a temporary file
        content = {}
    found = {"metrics_sha256": sha256_json(content), "replicates_sha256": sha256_file(table)}
    for path, (tag, digest) in zip((measured, table), found.items(), strict=True):
        if digest != version.tags.get(tag):
            raise Fault(
                f"{version.name}: the artifact {path.name} is not what was registered (sha256 {digest[:12]}, not "
                f"{version.tags.get(tag, 'none')[:12]}); register it again"
            )
    try:
        columns = pq.read_table(table).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise Fault(f"{version.name}: the artifact {table.name} cannot be read ({error})") from error
    replicates = {name: torch.tensor(values, dtype=torch.float64) for name, values in columns.items()}
    return MeasuredVersion(version, folder, read_card(folder / CARD), content, replicates)
