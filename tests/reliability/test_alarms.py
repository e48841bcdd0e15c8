"""A GAN that is ill raises its alarm, once an onset and wherever people look; one that is well raises none."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from components.objectives.adversarial import told_apart
from components.pages.config import ReportConfig
from components.pages.report import build_report
from components.storage.files import read_json
from components.tracking.live import LiveRun
from components.tracking.record import Outputs, Point, gather
from components.tracking.run import find_run
from components.tracking.store import open_store
from components.training import alarms, log
from components.training.alarms import ALARMS, RULES, SPAN, Alarms, diversity
from components.training.export import export_run
from components.training.group import Group
from components.training.loop import fit
from components.training.progress import Progress
from components.training.run import Run
from tests.conftest import write_tiny
from tests.pages.test_report import HOSTILE, Page, inputs
from tests.reliability.trouble import CONSTANT, ILL, LOGGED, NEVER, SAVED, STEPS, WELL, WINS, Case, aligned, rates
from tests.stage_outputs import build_outputs, rewrite

PROMISE = "10 a discriminator that wins or loses outright, a constant generator: an alarm within 240 steps, else none"
WORST = {"wins": 1.0, "loses": 0.0}
STORE_WARNINGS = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def logits(seed: int, count: int = 5000, shift: float = 0.0) -> torch.Tensor:
    """Normal logits of patches, (N, 1, 1, patches)."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(4, 1, 1, count // 4, generator=random) + shift


def test_told_apart_is_the_order_of_the_logits_alone():
    for shift in (-3.0, -0.5, 0.0, 0.5, 1.0, 5.0):
        expected = 0.5 * (1 + torch.erf(torch.tensor(shift / 2)).item())  # of two normals a shift apart
        fake, real = logits(1), logits(2, shift=shift)
        assert told_apart(fake, real).item() == pytest.approx(expected, abs=0.02)
        assert told_apart(1e4 * fake - 70, 1e4 * real - 70).item() == pytest.approx(expected, abs=0.02)
        assert told_apart(real, fake).item() == pytest.approx(1 - told_apart(fake, real).item(), abs=1e-3)
    assert told_apart(torch.zeros(3, 1, 2, 2), torch.zeros(2, 1, 2, 2)).item() == 0.5
    assert told_apart(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)).item() == 1
    assert told_apart(torch.ones(1, 1, 1, 1).bfloat16(), torch.zeros(1, 1, 1, 1).bfloat16()).item() == 0


def test_diversity_sees_through_noise():
    random = torch.Generator().manual_seed(0)
    colours = torch.rand(8, 3, 1, 1, generator=random) * 2 - 1
    real = colours + 0.3 * torch.randn(8, 3, 32, 32, generator=random)
    one = real[:1].expand(8, -1, -1, -1)
    noisy = one + 0.3 * torch.randn(8, 3, 32, 32, generator=random)
    assert diversity(real, real) == 1
    assert diversity(one, real) == pytest.approx(0, abs=1e-6)
    assert diversity(noisy, real) < 0.2 < 0.8 < diversity(real.flip(0), real)
    assert diversity(real[:1], real[:1]) is None
    assert diversity(real, one) is None
    assert diversity(real * torch.nan, real) is None


def records(values: list[float], every: int = 20) -> list[dict[str, Any]]:
    """A log of one discriminator."""
    return [
        {"step": every * (i + 1), "terms": {"discriminator.told_apart": value, "generator.l1": 1.0}}
        for i, value in enumerate(values)
    ]


@pytest.mark.parametrize("rule", [rule.name for rule in RULES[:2]])
def test_an_alarm_is_said_once_an_onset_and_its_end_is_known(rule):
    bad = WORST[rule.removeprefix("discriminator_")]
    rows = records([0.6] * 5 + [bad] * 30 + [0.6] * 5 + [bad] * 9 + [0.6] + [bad] * 12)
    found = Alarms()
    said = [[alarm.step for alarm in found.look(row)] for row in rows]
    assert [step for steps in said for step in steps] == [100 + SPAN, 1000 + SPAN]
    assert [(alarm.name, alarm.since, alarm.until) for alarm in found.all] == [(rule, 100, 720), (rule, 1000, None)]
    for cut in range(len(rows)):  # resumed anywhere, nothing is said twice and nothing is forgotten
        resumed = Alarms(rows[:cut])
        for row in rows[cut:]:
            resumed.look(row)
        assert resumed.all == found.all


def test_each_end_of_a_system_has_alarms_of_its_own():
    rows = records([1.0] * 20)
    for row in rows:
        row["terms"]["discriminators.told_apart_back"] = 0.0
    assert [alarm.name for alarm in Alarms(rows).all] == ["discriminator_wins", "discriminator_loses_back"]


def ill_run(shards: Path, root: Path) -> Run:
    """A generator that learns nothing, for 40 steps."""
    case = Case("", aligned(), (WINS, CONSTANT), rates(generator=NEVER))
    settings = case.train | {"steps": 40, "checkpoint_every": 10, "log_every": 5}
    return Case("", aligned(), case.due, settings).plan(shards, root)


@STORE_WARNINGS
def test_an_alarm_is_wherever_people_look(tiny_shards, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(alarms, "SPAN", 20)
    monkeypatch.setattr("components.tracking.live._SECONDS", 0.2)
    run = ill_run(tiny_shards, tmp_path / "runs")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    live = LiveRun(uri, tmp_path, "x", run.key, "it").start()
    with Progress(run, "train it", live.log):
        fit(run, Group(), until=20)
        fit(run, Group())  # resumed, and given the records of the log again
    live.end(timeout_s=300)
    lines = [alarm for record in log.read(run.folder) for alarm in record.get(ALARMS, ())]
    assert [line["name"] for line in lines if line["name"] == CONSTANT] == [CONSTANT]
    (line,) = [line for line in lines if line["name"] == CONSTANT]
    assert line["step"] <= 20 + 2 * 10
    said = capsys.readouterr().err
    assert said.count(f"train it: ALARM at step {line['step']}: {line['text']}") == 1
    store = open_store(uri, tmp_path, "x")
    found = find_run(store, run.key)
    assert found.data.tags[f"pix2pipe.alarm.{CONSTANT}"] == f"step {line['step']}"
    (point,) = store.client.get_metric_history(found.info.run_id, f"{ALARMS}/{CONSTANT}")
    assert (point.step, point.value) == (line["step"], 1.0)
    export_run(run, tmp_path / "out")
    assert [a["name"] for a in read_json(tmp_path / "out/run.json")[ALARMS]] == [line["name"] for line in lines]


def test_register_and_the_report_tell_of_alarms(tiny_shards, tmp_path):
    root = build_outputs(tmp_path, tiny_shards)
    assert "An alarm in training" not in re.sub(r"\s+", " ", Page(build_report(inputs(root), ReportConfig())).text)
    told = [vars(alarm) for alarm in Alarms(records([0.0] * 20 + [0.6])).all]
    rewrite(root / "data/runs/run.json", {ALARMS: [told[0] | {"text": told[0]["text"] + HOSTILE}]})
    page = Page(build_report(inputs(root), ReportConfig()))
    text = re.sub(r"\s+", " ", page.text)
    assert "An alarm in training Step 200: the discriminator loses outright" in text
    assert "It held from step 0 until step 420, by discriminator.told_apart." in text
    assert HOSTILE in text
    assert not page.all("script")
    assert any(tag.get("class") == "alarms" for tag in page.all("section"))
    data = root / "data"
    record = gather(
        Outputs(data / "runs", data / "generated", data / "metrics", tmp_path / "none", tmp_path / "no"), "c"
    )
    assert Point("alarms/discriminator_loses", 200, 1.0) in record.curves
    assert record.tags["pix2pipe.alarm.discriminator_loses"] == "step 200"


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 samples to train on."""
    return write_tiny(tmp_path_factory.mktemp("alarms") / "shards", counts=(64, 8, 8))


def outcome(case: Case, shards: Path, root: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Train a case: its log, and the alarms that were said."""
    run = case.plan(shards, root)
    fit(run, Group())
    rows = log.read(run.folder)
    return rows, [alarm for row in rows for alarm in row.get(ALARMS, ())]


def first_bad(rows: list[dict[str, Any]], alarm: dict[str, Any]) -> int:
    """The step of the first record of those in a row, up to the alarm, that were alarming."""
    (rule,) = [rule for rule in RULES if alarm["name"].startswith(rule.name)]
    values = [
        (row["step"], row[rule.part][alarm["figure"]]) for row in rows if alarm["figure"] in row.get(rule.part, {})
    ]
    bad = [step for step, value in values if not rule.begins(value) and step < alarm["step"]]
    return min(step for step, _ in values if step > max(bad, default=0))


@pytest.mark.slow
@pytest.mark.promise(PROMISE)
@pytest.mark.parametrize("case", ILL, ids=lambda case: case.name)
def test_what_is_ill_raises_its_alarms(shards, tmp_path, tally, case):
    rows, said = outcome(case, shards, tmp_path)
    names = [alarm["name"] for alarm in said]
    late = [alarm for alarm in said if alarm["step"] > first_bad(rows, alarm) + SPAN + max(SAVED, LOGGED)]
    held = all(names.count(name) == 1 for name in case.due) and not late
    tally.count(held, f"{case.name}: {names}, due {case.due}; {_last(rows)}")


@pytest.mark.slow
@pytest.mark.promise(PROMISE)
@pytest.mark.parametrize("case", WELL, ids=lambda case: case.name)
def test_what_is_well_raises_none(shards, tmp_path, tally, case):
    rows, said = outcome(case, shards, tmp_path)
    assert rows[-1]["step"] == STEPS
    tally.count(not said, f"{case.name}: {said}; {_last(rows)}")


def _last(rows: list[dict[str, Any]]) -> str:
    """The figures that alarms go by, highest and lowest of the second half."""
    late: dict[str, list[float]] = {}
    for row in rows[len(rows) // 2 :]:
        for name, value in (row.get("terms", {}) | row.get("validation", {})).items():
            if name.rpartition(".")[2].startswith(("told_apart", "diversity")):
                late.setdefault(name, []).append(round(value, 4))
    return json.dumps({name: [min(values), max(values)] for name, values in late.items()})
