"""The command export, and the script of docs/using.md, in a process that has no pix2pipe."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from components.models.generator import Generator
from components.models.portable_file import KEY
from components.shards.reader import Split
from components.storage.home import LOCAL
from components.tracking.store import open_store
from components.tracking.versions import fetch_version, find_version
from pipelines import cli
from tests.test_translate import MLFLOW_WARNS, inside, project  # noqa: F401

pytestmark = MLFLOW_WARNS
ROOT = Path(__file__).parent.parent


def script() -> str:
    """The one block of docs/using.md that loads onnxruntime."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/using.md").read_text(encoding="utf-8"), re.DOTALL)
    (found,) = (block for block in blocks if "onnxruntime" in block)
    return found


def test_the_script_of_the_docs_runs_without_pix2pipe(inside, tmp_path, capsys):  # noqa: F811
    pytest.importorskip("onnxruntime")
    capsys.readouterr()
    cli.main(["export", "candidate", "--format", "onnx", "--out", str(tmp_path / "winter.onnx")])
    assert json.loads(capsys.readouterr().out)["difference"] <= 1
    labels = Split(inside / "data/shards", "test").picture(0, "labels")
    Image.fromarray(labels).save(tmp_path / "summer.png")
    for name in ("components", "pipelines"):  # found before any that is installed, and refuses
        (tmp_path / f"{name}.py").write_text("raise ImportError('not here')", encoding="utf-8")
    (tmp_path / "script.py").write_text(script(), encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([sys.executable, "script.py"], cwd=tmp_path, env=env, check=True, timeout=60)
    with Image.open(tmp_path / "winter.png") as made:
        picture = np.asarray(made)
    store = open_store(f"sqlite:///{inside / LOCAL}/mlflow.db", inside / LOCAL, "tests", make=False)
    version = find_version(store, "tiny", "candidate")
    generator = Generator.load(fetch_version(store, version, tmp_path / "fetched"), "cpu")
    own = generator.translate(labels[None])[0]
    assert picture.shape == own.shape
    # The noise differs, so pixels do; what the generator says of each class does not.
    for label in np.unique(labels):
        here = labels == label
        assert np.abs(picture[here].mean(axis=0) - own[here].mean(axis=0)).max() < 8


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_file_that_is_there_stays_unless_forced(inside, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "model.pt"
    out.write_text("kept", encoding="utf-8")
    command = ["export", "candidate", "--format", "torchscript", "--out", str(out)]
    with pytest.raises(SystemExit, match="exists already; --force replaces it"):
        cli.main(command)
    with pytest.raises(SystemExit, match="is a folder"):
        cli.main([*command[:-1], str(tmp_path)])
    assert out.read_text(encoding="utf-8") == "kept"
    cli.main([*command, "--force"])
    extra = {KEY: ""}
    torch.jit.load(out, _extra_files=extra)
    printed = json.loads(capsys.readouterr().out)
    assert json.loads(extra[KEY]) == {name: value for name, value in printed.items() if name != "difference"}
    assert list(tmp_path.iterdir()) == [out]
