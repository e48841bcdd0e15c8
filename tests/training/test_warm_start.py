"""A run that starts from the weights of another."""

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from components.faults import Fault
from components.networks.tensors import write_tensors
from components.training.config import TrainConfig
from components.training.group import Group
from components.training.loop import fit
from components.training.run import plan
from tests.training.helpers import small_run, weights_of

STILL = {"learning_rate": 1e-12, "steps": 1, "checkpoint_every": 1, "norm": "instance"}


@pytest.fixture
def trained(tiny_shards, tmp_path):
    """The weights file of a run of four steps, which keeps averages."""
    run = small_run(tiny_shards, tmp_path / "first", steps=4, checkpoint_every=4, ema=0.5, norm="instance")
    fit(run, Group())
    return run.checkpoints.last().folder / "weights.safetensors"


def test_it_begins_at_the_averages_of_the_file(tiny_shards, tmp_path, trained, capsys):
    run = small_run(tiny_shards, tmp_path / "second", start_from=str(trained), ema=0.9, **STILL)
    fit(run, Group())
    old, new = load_file(trained), weights_of(run)
    for key in (key for key in new if not key.startswith("ema.")):
        assert torch.allclose(new[key], old.get(f"ema.{key}", old[key]), atol=1e-9), key
        if f"ema.{key}" in new:
            assert torch.allclose(new[f"ema.{key}"], new[key], atol=1e-9), key
    assert any(not torch.equal(old[f"ema.{key}"], old[key]) for key in old if f"ema.{key}" in old)
    count = len([key for key in new if not key.startswith("ema.")])
    assert f"train.start_from: {count} of {count} tensors are taken\n" in capsys.readouterr().err


def test_a_resumed_run_does_not_start_again(tiny_shards, tmp_path, trained):
    settings = {"start_from": str(trained), "steps": 4, "checkpoint_every": 2}
    whole, cut = (small_run(tiny_shards, tmp_path / name, **settings) for name in ("whole", "cut"))
    fit(whole, Group())
    fit(cut, Group(), until=2)
    fit(cut, Group())
    a, b = weights_of(whole), weights_of(cut)
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_what_does_not_fit_stays_at_random_and_is_said(tiny_shards, tmp_path, trained, capsys):
    old = load_file(trained)
    name = next(key for key in sorted(old) if key.startswith("generator.") and key.endswith("weight"))
    some = {key: value for key, value in old.items() if key.startswith("generator.")}
    some[name] = some[name][..., :1].contiguous()
    write_tensors(tmp_path / "some.safetensors", some)
    runs = [
        small_run(tiny_shards, tmp_path / f"from_{start is not None}", start_from=start, **STILL)
        for start in (None, str(tmp_path / "some.safetensors"))
    ]
    for run in runs:
        fit(run, Group())
    said = capsys.readouterr().err
    assert f"{name} is {tuple(some[name].shape)} there" in said
    random, started = (weights_of(run) for run in runs)
    for key, value in started.items():
        from_file = key in some and key != name
        assert torch.allclose(value, some[key] if from_file else random[key], atol=1e-9), key


def test_the_content_decides_the_key_and_not_the_place(tiny_shards, tmp_path, trained):
    twin, other = tmp_path / "twin.safetensors", tmp_path / "other.safetensors"
    twin.write_bytes(trained.read_bytes())
    weights = load_file(trained)
    write_tensors(other, weights | {key: value + 1 for key, value in weights.items() if key.endswith("bias")})
    keys = [
        small_run(tiny_shards, tmp_path, start_from=start).key for start in (None, str(trained), str(twin), str(other))
    ]
    assert keys[1] == keys[2]
    assert len(set(keys)) == 3


def test_what_cannot_be_started_from_is_refused_in_one_line(tiny_shards, tmp_path, trained):
    with pytest.raises(Fault, match=r"train\.start_from: .*nowhere\.safetensors: no such file"):
        small_run(tiny_shards, tmp_path, start_from=str(tmp_path / "nowhere.safetensors"))
    with pytest.raises(ValidationError, match="start_from"):
        TrainConfig(steps=1, start_from="weights.pt")
    strange, broken, sick = (tmp_path / f"{name}.safetensors" for name in ("strange", "broken", "sick"))
    write_tensors(strange, {"encoder.weight": torch.zeros(3)})
    broken.write_bytes(b"\x80\x04N.")
    write_tensors(sick, {key: value * torch.nan for key, value in load_file(trained).items()})
    for file, said in ((strange, "nothing in it fits"), (broken, "not a readable safetensors"), (sick, "not finite")):
        with pytest.raises(Fault, match=said):
            fit(small_run(tiny_shards, tmp_path / file.stem, start_from=str(file)), Group())


def test_a_name_that_no_stage_has_looked_up_is_refused(tiny_shards, tmp_path):
    run = small_run(tiny_shards, tmp_path)
    for start in ("models:/pix2pix-earth/3", "run:0123abcd"):
        train = run.train.model_copy(update={"start_from": start})
        with pytest.raises(Fault, match="looked up by the stages"):
            plan(run.system, train, run.shards, tmp_path)
