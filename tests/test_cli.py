"""The command: verify, sources, use."""

from pathlib import Path

import pytest
import yaml

from pipelines import cli

FACADES = Path("configs/facades.yaml")


def test_merge_keeps_comments_and_replaces_named_sections():
    text = (
        "# head\nfetch:            # where from\n  name: earth\n\n# how it is cut\nshard:\n"
        "  max_bad: 3      # kept\n  cut:\n    name: earth\n    stride: 16\n  # about packing\n"
        "  samples_per_shard: 512  # old\n\n# last\nreport: {}\n"
    )
    merged = cli.merge(text, FACADES.read_text(), "facades.yaml")
    values, fragment = yaml.safe_load(merged), yaml.safe_load(FACADES.read_text())
    assert values["fetch"] == fragment["fetch"]
    assert values["shard"] == {"max_bad": 3, **fragment["shard"]}
    assert values["report"] == {}
    for comment in ("# head", "# how it is cut", "# kept", "# about packing", "# last", "# labels -> photo"):
        assert comment in merged
    assert cli.merge(merged, FACADES.read_text(), "again") == merged


def test_merge_adds_and_reindents():
    merged = cli.merge("a:\n  b: 1\n\n# c\nc: 2\n", "a:\n    d:\n        e: [1,\n            2]\nf: x\n", "f")
    assert yaml.safe_load(merged) == {"a": {"b": 1, "d": {"e": [1, 2]}}, "c": 2, "f": "x"}
    assert "# c\nc: 2\n" in merged


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
