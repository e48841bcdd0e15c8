"""The command: verify, sources, use."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipelines import cli

FACADES = Path("configs/facades.yaml")


def test_use_refuses_what_does_not_validate(tmp_path):
    params = tmp_path / "params.yaml"
    params.write_text(Path("params.yaml").read_text())
    before = params.read_text()
    fragment = tmp_path / "f.yaml"
    fragment.write_text("fetch:\n  name: folder\n  path: x\n  layuot: folders\n")
    with pytest.raises(SystemExit, match="layuot"):
        cli.main(["use", str(fragment), "--params", str(params)])
    assert params.read_text() == before
    with pytest.raises(SystemExit, match="not found"):
        cli.main(["use", str(tmp_path / "none.yaml"), "--params", str(params)])


def test_use_facades(tmp_path, capsys):
    params = tmp_path / "params.yaml"
    params.write_text(Path("params.yaml").read_text())
    cli.main(["use", str(FACADES), "--params", str(params)])
    assert yaml.safe_load(params.read_text())["shard"]["cut"]["name"] == "folder"
    assert "took fetch, shard" in capsys.readouterr().out


def test_sources_are_listed(capsys):
    cli.main(["sources"])
    out = capsys.readouterr().out
    assert "earth:" in out
    assert "folder:" in out
    assert "stride=32" in out


def test_verify_exit_status(tiny_shards, tmp_path, capsys):
    cli.main(["verify", str(tiny_shards)])
    assert "24 samples in 3 shards" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"manifest\.json: not found"):
        cli.main(["verify", str(tmp_path)])


def test_a_reader_that_has_gone_is_no_traceback():
    command = f"{sys.executable} -m pipelines.cli sources | true"  # gone long before the first line
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
