"""The modes of stacked digits against hand-made histograms, and read by a judge of one digit."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from components.evaluation.intervals import draws
from components.evaluation.reading import reading_of
from components.evaluation.stacks import mode_figures, read_modes
from components.networks.classifier import Classifier
from components.samples.domain import Domain
from components.samples.task import Task
from components.sources.stacked_mnist import CHANNELS, DIGITS, StackedMNISTConfig, StackedMNISTCut, shows_stacked
from components.systems import build
from components.systems.classifier import ClassifierConfig
from components.systems.judge import Judge, JudgeCard, judge_task
from components.systems.system import Shape

SHOWN = shows_stacked(StackedMNISTConfig(), StackedMNISTCut(image_size=28))
READ = Task(source="photo", target="red")


def values(modes: list[int], count: int = 1000) -> dict[str, float]:
    found = mode_figures(torch.tensor(modes), count, draws(len(modes), 40, 0))
    return {name: figure.value for name, figure in found.items()}


@pytest.mark.parametrize(
    ("modes", "found", "kl"),
    [
        ([*range(1000)] * 3, 1000, 0),
        ([7] * 50, 1, math.log(1000)),
        ([*range(100)] * 2, 100, math.log(10)),
        ([0, 0, 0, 999], 2, 0.75 * math.log(750) + 0.25 * math.log(250)),
    ],
)
def test_hand_made_histograms(modes, found, kl):
    assert values(modes) == pytest.approx({"modes": found, "mode_kl": kl}, abs=1e-9)


def test_perfect_samples_have_the_bias_that_is_told_and_intervals_that_hold_their_figures():
    count = 25_600
    modes = torch.from_numpy(np.random.default_rng(0).integers(1000, size=count))
    found = mode_figures(modes, 1000, draws(count, 100, 0))
    assert found["modes"].value == 1000
    assert found["mode_kl"].value == pytest.approx(999 / (2 * count), rel=0.1)
    few = mode_figures(modes[:2000], 1000, draws(2000, 200, 0))
    expected = 1000 * (1 - 0.999**2000)  # a mode is missed by all of 2,000 with a chance of 0.999^2000
    assert few["modes"].value == pytest.approx(expected, abs=4 * math.sqrt(1000 * 0.135 * 0.865))
    for figure in (*found.values(), *few.values()):
        assert figure.low <= figure.value <= figure.high
    assert 10 < few["modes"].high - few["modes"].low < 60  # and not down to the 690 that a redrawn set finds


class FirstPixel(nn.Module):
    """Reads the digit that stands in the first pixel of the first channel."""

    def forward(self, pictures: Tensor) -> Tensor:
        digits = ((pictures[:, 0, 0, 0] + 1) * 127.5).round().long()
        return nn.functional.one_hot(digits, 10).float()


def judge_of(network: nn.Module) -> Judge:
    domains = SHOWN.domains
    card = {"source": domains["photo"], "target": domains["red"], "task": READ, "manifest": "m", "key": "k"}
    return Judge(JudgeCard(system=ClassifierConfig(), weights_sha256="w", ceiling={}, **card), network)


def test_the_mode_of_a_stack_is_the_number_of_its_digits():
    photos = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 3), dtype=np.uint8)
    photos[:, 0, 0] = [[1, 2, 3], [0, 0, 0], [9, 9, 9], [0, 4, 0], [5, 0, 6]]
    assert read_modes(judge_of(FirstPixel()), photos).tolist() == [123, 0, 999, 40, 506]


def test_a_judge_of_stacks_looks_at_the_first_channel_and_has_one():
    shape = Shape(SHOWN.domains["photo"], SHOWN.domains["red"])
    network = build(ClassifierConfig(width=2), shape).networks["classifier"].eval()
    assert isinstance(network, Classifier)
    assert network.features[0].in_channels == 1
    photos = torch.randn(2, 3, 28, 28)
    others = torch.cat([photos[:, :1], torch.randn(2, 2, 28, 28)], dim=1)
    assert torch.equal(network(photos), network(others))
    assert network.features(photos[:, :1]).shape[2:] == (4, 4)


def test_a_judge_reads_the_first_channel_whatever_is_asked_for():
    classifier = ClassifierConfig()
    for condition in (None, "red", "green"):
        assert judge_task(Task(target="photo", condition=condition), SHOWN.domains, classifier) == READ
    plain = {"photo": Domain(kind="image"), "kind": Domain(kind="category", classes=DIGITS)}
    assert judge_task(Task(target="photo"), plain, classifier) == Task(source="photo", target="kind")


def test_what_is_read_of_stacks_depends_on_the_judge():
    task, domains = Task(target="photo"), SHOWN.domains
    read = reading_of(task, domains, READ, aligned=True)
    assert (read.stacked, read.by_judge, read.labels) == ("red", True, None)
    for judged in (None, Task(source="photo", target=CHANNELS[1])):
        none = reading_of(task, domains, judged, aligned=True)
        assert (none.stacked, none.by_judge) == (None, False)
        assert "red" in none.skipped["mode"]
    asked = reading_of(Task(target="photo", condition="red"), domains, READ, aligned=True)
    assert (asked.stacked, asked.labels) == ("red", "red")
