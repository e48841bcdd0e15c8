"""A registered version loads where nothing but its own requirements.txt is installed."""

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import numpy as np
import pytest

from components.models.card import read_card
from components.models.generator import Generator
from components.tracking.config import RegisterConfig
from components.tracking.record import Outputs
from components.tracking.registry import register_all
from components.tracking.run import make_run
from components.tracking.store import open_store
from tests.review.helpers import MLFLOW_WARNS
from tests.stage_outputs import BOTH_WAYS, SYSTEM, build_outputs

pytestmark = MLFLOW_WARNS
PREDICT = """
import sys

allowed = set(sys.argv[2].split(","))

class Nothing:
    "Stands for packages that are not installed."
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in sys.argv[3].split(",") and top not in allowed:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Nothing())
import mlflow.pyfunc
import numpy as np

model = mlflow.pyfunc.load_model(sys.argv[1])
made = model.predict(np.load(sys.argv[4]))
import components
assert components.__file__.startswith(sys.argv[1]), components.__file__
np.save(sys.argv[5], made)
"""


def needed(requirements: Path) -> set[str]:
    """The distributions that pip would install: those named, and all that they need."""
    waiting = [re.split(r"[=<>!~\[; ]", line)[0] for line in requirements.read_text().splitlines() if line.strip()]
    found: set[str] = set()
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            wants = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        found.add(name)
        waiting += [re.split(r"[=<>!~\[;( ]", want)[0] for want in wants if "extra ==" not in want]
    return found


@pytest.mark.parametrize("system", [SYSTEM, BOTH_WAYS], ids=["pix2pix", "cyclegan"])
def test_a_version_loads_with_its_own_requirements_alone(system, tmp_path, tiny_shards):
    root = build_outputs(tmp_path / "project", tiny_shards, system)
    home = root / ".pix2pipe"
    store = open_store(f"sqlite:///{home / 'mlflow.db'}", home, "tests")
    outputs = Outputs(root / "data/runs", root / "data/generated", root / "data/metrics", home / "none", root / "none")
    run_id = make_run(store, "k", "a run").info.run_id
    register_all(store, run_id, outputs, RegisterConfig(model="alone"))
    cards = {path: read_card(path) for path in home.rglob("generator.json")}
    (folder,) = {path.parents[1] for path, card in cards.items() if card.name == "labels_to_photo"}
    allowed = needed(folder / "requirements.txt")
    assert not allowed & {"efficientnet-lite-pytorch", "ray", "dvc", "torchmetrics", "scikit-image", "pix2pipe"}
    owners = packages_distributions()
    modules = {m for m, names in owners.items() if {re.sub(r"[-_.]+", "-", n).lower() for n in names} & allowed}
    sources = np.random.default_rng(0).integers(0, 4, (2, 32, 32)).astype(np.uint8)
    np.save(tmp_path / "in.npy", sources)
    script = tmp_path / "predict.py"
    script.write_text(PREDICT)
    modules.add("components")  # which it brings
    everything = ",".join(owners)
    paths = [tmp_path / "in.npy", tmp_path / "out.npy"]
    command = [sys.executable, str(script), str(folder), ",".join(modules), everything, *map(str, paths)]
    done = subprocess.run(
        command,
        cwd=tmp_path,  # not in the project, whose code the version carries itself
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    made = Generator.load(root / "data/generated/labels_to_photo", "cpu").translate(sources)
    assert np.array_equal(np.load(tmp_path / "out.npy"), made)
