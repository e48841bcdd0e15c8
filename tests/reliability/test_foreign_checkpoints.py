"""Checkpoints and exported weights with a payload, another's or swapped: refused by name and hash, nothing run."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file

from components.models.card import GenerateConfig
from components.storage.files import sha256_file
from components.systems import build
from components.systems.translation.pix2pix import Pix2PixConfig, UNetConfig
from components.training.checkpoint import META, STATE
from components.training.export import export_run, export_trained
from components.training.group import Group
from components.training.loop import fit, restore
from components.training.run import Run
from components.training.trainer import Trainer
from tests.reliability.payloads import PROMISE, QUIET, payloads, refused, wrong
from tests.stage_outputs import rewrite
from tests.training.helpers import small_run

pytestmark = QUIET


@pytest.fixture(scope="module")
def trained(tiny_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of six steps, with checkpoints of steps 3 and 6."""
    run = small_run(tiny_shards, tmp_path_factory.mktemp("trained"), ema=0.9)
    fit(run, Group())
    return run


def copied(run: Run, root: Path) -> Run:
    """The same run in another place, to be changed."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(run.folder, root / run.key)
    return Run(run.system, run.train, run.shards, root / run.key, run.task, run.key)


def resume(run: Run) -> int:
    """What a stage does that finds the run's folder."""
    return restore(run, Trainer(build(run.system, run.shape()), run.train, run.num_steps(), Group()))


def forge(folder: Path) -> None:
    """Let checkpoint.json say the hashes of what lies beside it."""
    rewrite(folder / META, {"sha256": {name: sha256_file(folder / name) for name in ("weights.safetensors", STATE)}})


@PROMISE
def test_a_checkpoint_with_a_payload_or_of_another_system_is_not_resumed(tally, tmp_path, trained, tiny_shards):
    mark = tmp_path / "run"
    for what, data in payloads(mark):
        run = copied(trained, tmp_path / "copy")
        folder = run.folder / "checkpoints/step_00000006"
        (folder / STATE).write_bytes(data)
        tally.count(resume(run) == 3 and not mark.exists(), f"state: {what}")  # the one before is taken
        run = copied(trained, tmp_path / "copy")
        (folder / STATE).write_bytes(data)
        forge(folder)
        named = (str(folder / STATE), sha256_file(folder / STATE))
        tally.count(refused(lambda run=run: resume(run), *named) and not mark.exists(), f"state, hash agrees: {what}")
        run = copied(trained, tmp_path / "copy")
        (folder / "weights.safetensors").write_bytes(data)
        forge(folder)
        held = refused(lambda run=run: resume(run), str(folder / "weights.safetensors")) and not mark.exists()
        tally.count(held, f"weights, hash agrees: {what}")
    good = trained.checkpoints.last()
    for what, weights in wrong(good.weights()):
        run = copied(trained, tmp_path / "copy")
        folder = run.folder / "checkpoints/step_00000006"
        save_file(weights, folder / "weights.safetensors")
        forge(folder)
        tally.count(refused(lambda run=run: resume(run), str(folder / "weights.safetensors")), f"checkpoint: {what}")
    for what, state in states(good.state()):
        run = copied(trained, tmp_path / "copy")
        folder = run.folder / "checkpoints/step_00000006"
        torch.save(state, folder / STATE)
        forge(folder)
        tally.count(refused(lambda run=run: resume(run), str(folder / STATE)), f"state: {what}")


def states(good: dict) -> Iterator[tuple[str, object]]:
    """Training states that are not this run's."""
    yield "a list", [1, 2]
    yield "nothing", {}
    yield "one phase only", {"optimizers": dict(list(good["optimizers"].items())[:1]), "memories": {}}
    first, second = good["optimizers"].values()
    names = list(good["optimizers"])
    yield "phases swapped", {"optimizers": dict(zip(names, (second, first), strict=True)), "memories": {}}
    moments = {key: value | {"exp_avg": value["exp_avg"].flatten()[:1]} for key, value in first["state"].items()}
    yield "moments of another shape", good | {"optimizers": {names[0]: first | {"state": moments}, names[1]: second}}


@PROMISE
def test_a_checkpoint_of_another_run_or_step_is_refused(tally, tmp_path, trained, tiny_shards):
    other = small_run(tiny_shards, tmp_path / "other", ema=0.9, seed=1)  # the same shapes, another run
    fit(other, Group())
    run = copied(trained, tmp_path / "copy")
    folder, named = run.folder / "checkpoints/step_00000006", (run.key, other.key)
    shutil.rmtree(folder)
    shutil.copytree(other.folder / "checkpoints/step_00000006", folder)
    tally.count(refused(lambda: resume(run), str(folder), *named), "of a run with another seed")
    run = copied(trained, tmp_path / "copy")
    shutil.rmtree(folder)
    shutil.copytree(run.folder / "checkpoints/step_00000003", folder)
    tally.count(refused(lambda: resume(run), str(folder), "step 3"), "of another step")
    for file in ("weights.safetensors", STATE):
        run = copied(trained, tmp_path / "copy")
        shutil.copyfile(run.folder / "checkpoints/step_00000003" / file, folder / file)
        tally.count(resume(run) == 3, f"{file} of another step")


@PROMISE
def test_what_train_exports_is_what_was_saved_and_what_generate_takes(tally, tmp_path, trained, tiny_shards):
    out = tmp_path / "runs"
    run = copied(trained, tmp_path / "copy")
    rewrite(run.folder / "checkpoints/step_00000003" / META, {"score": 0.0})
    best = run.checkpoints.best()
    assert best.step == 3
    data = bytearray(best.read("weights.safetensors"))
    data[-1] ^= 1
    (best.folder / "weights.safetensors").write_bytes(data)
    named = (str(best.folder), best.meta["sha256"]["weights.safetensors"], hashlib.sha256(data).hexdigest())
    tally.count(refused(lambda: export_run(run, out), *named), "the best checkpoint is damaged")
    export_run(trained, out)
    file, config = out / "checkpoints/last/weights.safetensors", GenerateConfig()
    digest = sha256_file(file)
    assert export_trained(out, config, tiny_shards, tmp_path / "work")
    others = Pix2PixConfig(generator=UNetConfig(width=4, levels=3), patch_size=16)
    assert others != trained.system
    for what, data in (
        ("the best in its place", trained.checkpoints.all()[0].read("weights.safetensors")),
        ("another system's", save(dict(build(others, trained.shape()).networks.state_dict()))),
        *payloads(tmp_path / "run"),
    ):
        file.write_bytes(data)
        named = (str(file), digest, sha256_file(file))
        held = refused(lambda: export_trained(out, config, tiny_shards, tmp_path / "work"), *named)
        tally.count(held and not (tmp_path / "run").exists(), f"exported: {what}")
    file.unlink()
    held = refused(lambda: export_trained(out, config, tiny_shards, tmp_path / "work"), str(file), "not found")
    tally.count(held, "exported: no weights")
