"""benchmarks/gpu.py runs where there is no GPU, so that it never rots."""

import json

from benchmarks import gpu


def test_the_gpus_benchmark_runs_on_a_cpu(tmp_path, capsys):
    out = tmp_path / "gpu.json"
    gpu.main(["--systems", "pix2pix", "--seconds", "0.01", "--steps", "4", "--out", str(out)])
    found = json.loads(out.read_text(encoding="utf-8"))
    assert [row["precision"] for row in found["step"]] == ["float32", "bfloat16"]
    for row in found["step"]:
        assert {"plain", "eager", "host"} <= row.keys()
        assert 0 < row["peak"] < 1
    assert [(row["resume"], row["eager"]) for row in found["resume"]] == [(0, 0), (0, 0)]
    assert len(found["loader"]) == 4
    assert len(capsys.readouterr().out.splitlines()) == 1 + 2 + 2 + 4
