"""A stage killed anywhere, then `dvc repro`: it ends where a graph that was never killed ends, and redoes nothing."""

import json
import random
import re
import time
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest
import yaml

from components.params import load_params
from components.search.ledger import Ledger, Trial
from components.stage import Clock
from components.training import log
from components.training.checkpoint import CheckpointStore
from pipelines import report
from tests.reliability.conftest import Tally
from tests.reliability.following import Followed
from tests.test_graph import SMALL, STAGES, Project

PROMISE = pytest.mark.promise(
    "18 stages killed at random points, then `dvc repro`: a clean run's outputs, no work redone"
)
POINTS = {  # kills of each stage, 20 in all
    "fetch": 1,
    "shard": 2,
    "judge": 3,
    "tune": 4,
    "train": 4,
    "generate": 2,
    "evaluate": 2,
    "register": 1,
    "report": 1,
}
EVERY = 6  # steps between two checkpoints
RUN_STEPS = {"judge": 24, "train": 60}
LEAST_RUNGS = 5  # of three trials: three of the first, and one of each that is pruned at once
RAY_LATE = re.compile("node timed out during startup|Failed to start the dashboard")
TIMED = {"data/tune/trials.parquet", "data/report"}  # what tells of seconds differs from run to run


def small_project(folder: Path) -> Project:
    """A graph with a short search, one trial after another so that its outcome is no matter of chance."""
    project = Project(folder)
    runs = {"checkpoint_every": EVERY, "log_every": 1}
    judge = SMALL["judge"] | {"train": SMALL["judge"]["train"] | runs | {"steps": RUN_STEPS["judge"]}}
    train = SMALL["train"] | runs | {"steps": RUN_STEPS["train"]}
    tune = SMALL["tune"] | {"num_trials": 3, "max_concurrent": 1, "max_steps": 8, "grace_steps": 2}
    project.params = SMALL | {"judge": judge, "train": train, "tune": tune}
    project.write_params()
    return project


class Saved(NamedTuple):
    """What training and search had saved at one moment.

    Attributes:
        logs: of each run the records up to its last checkpoint; their images/s are of the clock, so a step that
            is taken again has another record.
        lost: steps of each run that were logged beyond it.
    """

    logs: dict[Path, list[str]]
    trials: dict[tuple[int, int], Trial]
    lost: dict[Path, int]


def saved(project: Project) -> Saved:
    """What there is now."""
    logs, lost, work = {}, {}, project.folder / ".pix2pipe"
    for folder in [*work.glob("runs/*"), *work.glob("tune/*/runs/*")]:
        last = CheckpointStore(folder / "checkpoints").last()
        lines = (folder / log.LOG).read_text().splitlines() if (folder / log.LOG).exists() else []
        steps = [record["step"] for record in log.read(folder)]
        done = last.step if last else 0
        logs[folder] = [line for line, step in zip(lines, steps, strict=False) if step <= done]
        lost[folder] = max(steps, default=0) - done
    return Saved(logs, {(trial.number, trial.repeat): trial for trial in trials(project)}, lost)


def trials(project: Project) -> list[Trial]:
    """The ledger of the search, if it has begun."""
    return [trial for folder in (project.folder / ".pix2pipe/tune").glob("*/trials") for trial in Ledger(folder).all()]


def redone(before: Saved, after: Saved) -> list[str]:
    """What was saved before and is not there as it was."""
    wrong = [
        f"steps of {folder.name}" for folder, lines in before.logs.items() if after.logs[folder][: len(lines)] != lines
    ]
    for place, trial in before.trials.items():
        now = after.trials[place]
        if now.rungs[: len(trial.rungs)] != trial.rungs or (trial.state != "running" and now != trial):
            wrong.append(f"trial {trial.number}")
    return wrong


def progress(project: Project, stage: str, keys: dict[str, str]) -> float:
    """How far a stage that counts its own work has come, 0 to 1."""
    if stage == "tune":
        return sum(len(trial.rungs) for trial in trials(project)) / LEAST_RUNGS
    records = log.read(project.folder / ".pix2pipe/runs" / keys[stage])
    return max((record["step"] for record in records), default=0) / RUN_STEPS[stage]


def run_clean(project: Project) -> dict[str, float]:
    """Run the whole graph; gives the seconds of each stage."""
    run, begun = Followed(project.start("repro")), {}
    for stage in STAGES:
        assert run.until(lambda stage=stage: stage in run.stages), run.said
        begun[stage] = time.monotonic()
    assert run.end() == 0, run.said
    ends = [*list(begun.values())[1:], time.monotonic()]
    return {stage: end - begun[stage] for stage, end in zip(STAGES, ends, strict=True)}


def kill_in(project: Project, stage: str, there: Callable[[float], bool], pause: float) -> Followed:
    """Begin `dvc repro` and kill it in a stage, `pause` seconds after `there`, which is told the stage's seconds.

    Where the stage has ended before, the kill falls into the next.
    """
    later = set(STAGES[STAGES.index(stage) :])
    while True:
        run = Followed(project.start("repro"))
        if run.until(lambda run=run: bool(later & set(run.stages))):
            began = time.monotonic()
            run.until(lambda run=run, began=began: run.stages[-1] != stage or there(time.monotonic() - began))
            time.sleep(pause)
            if run.process.poll() is None:
                run.kill()
                return run
        # Where a machine is so busy that Ray cannot start, this was no kill.
        assert run.end() != 0, "nothing was left to kill"
        assert RAY_LATE.search(run.said), run.said


def kill_through(
    project: Project, points: dict[str, int], seconds: dict[str, float], keys: dict[str, str], tally: Tally
) -> list[tuple[str, Saved]]:
    """Kill a graph again and again on its way; gives what was saved after each kill."""
    chance, moments, stage_before = random.Random(18), [], STAGES[0]
    for stage, count in points.items():
        for part in range(count):
            share = (part + chance.random()) / count

            def there(since: float, stage: str = stage, share: float = share) -> bool:
                if stage in (*RUN_STEPS, "tune"):
                    return progress(project, stage, keys) >= share
                return since >= share * seconds[stage]

            run = kill_in(project, stage, there, chance.random() * 0.1)
            what = f"kill {len(moments) + 1}, at {share:.2f} of {stage}"
            moments.append((what, saved(project)))
            # A stage that had ended stays as it is.
            tally.count(STAGES.index(run.stages[0]) >= STAGES.index(stage_before), f"{what}: began at {run.stages[0]}")
            stage_before = run.stages[-1]
            lost = max(moments[-1][1].lost.get(project.folder / ".pix2pipe/runs" / key, 0) for key in keys.values())
            tally.count(lost <= EVERY, f"{what}: {lost} steps lost")
    return moments


def keys_of(project: Project) -> dict[str, str]:
    """The runs of a graph, by their stage."""
    files = {"judge": "judge/judge.json", "train": "runs/run.json"}
    return {stage: json.loads((project.folder / "data" / file).read_text())["key"] for stage, file in files.items()}


@pytest.mark.slow
@PROMISE
def test_a_killed_graph_ends_as_a_clean_one_and_redoes_nothing(tmp_path, tally):
    (tmp_path / "clean").mkdir()
    (tmp_path / "killed").mkdir()
    clean, killed = small_project(tmp_path / "clean"), small_project(tmp_path / "killed")
    seconds = run_clean(clean)
    moments = kill_through(killed, POINTS, seconds, keys_of(clean), tally)
    assert sum(len(before.trials) > 0 for _, before in moments) > 3, "no kill came into a search"
    assert sum(any(before.logs.values()) for _, before in moments) > 3, "no kill came after a checkpoint"
    finish_and_compare(clean, killed, moments, tally)


def finish_and_compare(clean: Project, killed: Project, moments: list[tuple[str, Saved]], tally: Tally) -> None:
    """Let the killed graph end, and hold it against what was saved on its way and against the clean one."""
    last = Followed(killed.start("repro"))
    assert last.end() == 0, last.said
    now = saved(killed)
    for what, before in moments:
        wrong = redone(before, now)
        tally.count(not wrong, f"{what}: redone: {wrong}")
    again = Followed(killed.start("repro"))
    tally.count(again.end() == 0 and again.stages == [], f"a further repro: {again.said}")
    compare(clean, killed, tally)


def compare(clean: Project, killed: Project, tally: Tally) -> None:
    """Every output of the one graph against the other's, and nothing beside them."""
    outs = [outputs(project) for project in (clean, killed)]
    assert outs[0].keys() == outs[1].keys()
    for path in outs[0].keys() - TIMED:
        tally.count(outs[0][path] == outs[1][path], f"{path} is another")
    tables = [pq.read_table(project.folder / "data/tune/trials.parquet") for project in (clean, killed)]
    tally.count(tables[0].drop_columns("seconds") == tables[1].drop_columns("seconds"), "data/tune/trials.parquet")
    stale = [path for path in killed.folder.rglob(".*") if path.suffix in (".tmp", ".partial", ".old")]
    tally.count(not [path for path in stale if ".dvc" not in path.parts], f"left behind: {stale}")
    # The page tells of seconds; with the one's in the other's place it is the same page.
    for name in ("data/tune/trials.parquet", *(f".pix2pipe/timings/{stage}.json" for stage in STAGES)):
        replace(clean.folder / name, killed.folder / name)
    for path in clean.folder.glob(".pix2pipe/runs/*/throughput.json"):
        replace(path, killed.folder / path.relative_to(clean.folder))
    pages = []
    for project in (clean, killed):
        with chdir(project.folder):
            report.main(load_params(Path("params.yaml")), Clock("report"))
        pages.append((project.folder / "data/report/index.html").read_bytes())
    tally.count(pages[0] == pages[1], "data/report/index.html")


def replace(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    target.write_bytes(source.read_bytes())


def outputs(project: Project) -> dict[str, str]:
    """The hash of every output, as DVC keeps it."""
    lock = yaml.safe_load((project.folder / "dvc.lock").read_text())
    return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}
