"""StarGAN: its terms in closed form, whom each picture is asked to become, and the published sizes."""

import math

import pytest
import torch
from torch import nn

from components.faults import Fault
from components.networks.star_gan import StarDiscriminator, StarGenerator
from components.samples.domain import Domain
from components.samples.task import Task
from components.systems import build
from components.systems.system import Moment, Shape, System
from components.systems.translation.cyclegan import CycleGANConfig
from components.systems.translation.star_gan import StarGANConfig, star_gan
from components.systems.translation.within import distance_by_class, exchanged
from components.training.config import TrainConfig
from components.training.run import asked_of, plan

PHOTO = Domain(kind="image")
KINDS = Domain(kind="category", classes=("dark", "light", "red"))
NOW = Moment(0, 10, 0)


def shape(size: int = 16, classes: int = 3) -> Shape:
    return Shape(
        PHOTO.at((size, size)),
        PHOTO.at((size, size)),
        asked=Domain(kind="category", classes=tuple("abcdefgh"[:classes])),
    )


def batch(size: int = 16, count: int = 6) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    pictures = 2 * torch.rand(count, 3, size, size) - 1
    condition = torch.eye(3)[torch.arange(count) % 3]
    return {"source": pictures, "target": pictures, "condition": condition, "seeds": torch.arange(count) + 7}


@pytest.mark.parametrize(
    ("size", "classes", "levels", "generator", "discriminator"),
    [(128, 5, 6, 8_430_528, 44_762_048), (64, 4, 5, 8_427_392, 11_171_776)],
)
def test_the_published_sizes(size, classes, levels, generator, discriminator):
    with torch.device("meta"):
        system = star_gan(StarGANConfig(), shape(size, classes))
    assert system.num_parameters() == {"generator": generator, "discriminator": discriminator}
    assert len(system.networks["discriminator"].trunk) == levels


def test_networks_take_oblong_pictures():
    generator, discriminator = StarGenerator(3, 2, 4, 1), StarDiscriminator(3, 2, (16, 24), 4, 3)
    made = generator(torch.rand(2, 3, 16, 24), torch.eye(2))
    told, kind = discriminator(made)
    assert made.shape == (2, 3, 16, 24)
    assert told.shape == (2, 1, 2, 3)
    assert kind.shape == (2, 2)


def test_the_generator_sees_the_condition_everywhere_and_nothing_of_other_pictures():
    generator = StarGenerator(3, 2, 4, 1)
    picture = torch.rand(1, 3, 16, 16)
    both = generator(picture.expand(2, -1, -1, -1), torch.eye(2))
    assert not torch.allclose(both[0], both[1])
    assert torch.allclose(both[1:], generator(picture, torch.eye(2)[1:]), atol=1e-6)
    flat = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(5, 4, 7, bias=False), nn.InstanceNorm2d(4))
    planes = torch.cat([picture.expand(2, -1, -1, -1), torch.eye(2)[:, :, None, None].expand(-1, -1, 16, 16)], dim=1)
    first, second = flat(planes)
    assert torch.allclose(first, second, atol=1e-4)  # as its docstring says of padding by reflection


class Linear(nn.Module):
    """A critic of one patch and of a class, both linear in the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.full((3,), 0.1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        value = torch.einsum("nchw,c->n", x, self.slope)
        return value[:, None, None, None], torch.stack([value, 2 * value, 3 * value], dim=1)


class Towards(nn.Module):
    """A translator that scales a picture by what is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([0.2, 0.5, -0.7]))

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        return torch.atanh(0.99 * x) * (condition @ self.scale)[:, None, None, None]


def small(**params: object) -> System:
    system = star_gan(StarGANConfig(width=4, blocks=1, critic_width=4, **params), shape())
    system.networks["discriminator"], system.networks["generator"] = Linear(), Towards()
    return system


def test_terms_are_those_of_the_paper():
    system, given = small(lambda_class=0.5, lambda_cycle=3, lambda_penalty=7), batch()
    critic, generator = system.phases
    terms = critic.terms(system.networks, given, NOW)
    real, shown, asked = given["source"], given["condition"], given["asked"]
    judge, make = system.networks["discriminator"], system.networks["generator"]
    for parameter in system.networks.parameters():
        parameter.requires_grad_(False)
    fake = torch.tanh(make(real, asked))
    assert float(terms["real"].detach()) == pytest.approx(-float(judge(real)[0].mean()), rel=1e-5)
    assert float(terms["fake"].detach()) == pytest.approx(float(judge(fake)[0].mean()), rel=1e-5)
    logp = judge(real)[1].log_softmax(1)
    assert float(terms["class"].detach()) == pytest.approx(-0.5 * float((logp * shown).sum(1).mean()), rel=1e-5)
    length = math.sqrt(3 * 16 * 16) * 0.1  # the gradient of the value by all pixels is the slope at each
    assert float(terms["penalty"].detach()) == pytest.approx(7 * (length - 1) ** 2, rel=1e-5)
    terms = generator.terms(system.networks, given, NOW)
    logp = judge(fake)[1].log_softmax(1)
    assert float(terms["adversarial"].detach()) == pytest.approx(-float(judge(fake)[0].mean()), rel=1e-5)
    assert float(terms["class_fake"].detach()) == pytest.approx(-0.5 * float((logp * asked).sum(1).mean()), rel=1e-5)
    home = torch.tanh(make(fake, shown))
    assert float(terms["cycle"].detach()) == pytest.approx(3 * float((home - real).abs().mean()), rel=1e-5)


def test_fakes_teach_the_class_to_the_generator_alone():
    system, given = small(lambda_class=1), batch()
    critic, generator = system.phases
    terms = critic.terms(system.networks, given, NOW)
    (alone,) = torch.autograd.grad(terms["class"], system.networks["discriminator"].slope, retain_graph=True)
    (again,) = torch.autograd.grad(
        torch.nn.functional.cross_entropy(system.networks["discriminator"](given["source"])[1], given["condition"]),
        system.networks["discriminator"].slope,
    )
    assert torch.allclose(alone, again)
    assert system.networks["generator"].scale.grad is None
    terms = generator.terms(system.networks, given, NOW)
    (moved,) = torch.autograd.grad(terms["class_fake"], system.networks["generator"].scale)
    assert moved.abs().min() > 0


def test_the_generator_learns_at_each_fifth_step():
    _, generator = star_gan(StarGANConfig(width=4, blocks=0, critic_width=4), shape()).phases
    due = [step for step in range(20) if generator.takes_place(Moment(step, 20, 0))]
    assert due == [0, 5, 10, 15]


def test_classes_are_exchanged_within_the_batch_whatever_its_order():
    count = 64
    condition = torch.eye(4)[torch.arange(count) % 4]
    seeds = torch.arange(count) * 1000 + 3
    asked = exchanged(condition, seeds)
    assert torch.equal(asked.sum(0), condition.sum(0))  # a permutation
    assert 0.1 < float((asked * condition).sum(1).mean()) < 0.5  # a quarter keeps its class by chance
    turned = torch.randperm(count)
    assert torch.equal(exchanged(condition[turned], seeds[turned]), asked[turned])
    assert not torch.equal(exchanged(condition, seeds + 1_000_000), asked)


def test_the_distance_is_of_pictures_of_one_class():
    real = torch.zeros(8, 3, 16, 16)
    real[4:] = 0.9
    shown = torch.eye(2)[torch.tensor([0] * 4 + [1] * 4)]
    asked = shown.roll(4, dims=0)
    assert distance_by_class(real.roll(4, dims=0), asked, real, shown, True) == 0
    assert distance_by_class(real, asked, real, shown, True) > 0.1  # nothing was changed


def test_what_star_gan_cannot_be_given(tiny_kinds, tiny_sides, tmp_path):
    system, train = StarGANConfig(), TrainConfig(steps=1, batch_size=4)
    with pytest.raises(Fault, match=r"multiples of 16, not 40x40; set another shard\.cut\.image_size"):
        star_gan(StarGANConfig(levels=4), shape(40))
    with pytest.raises(Fault, match=r"train\.batch_size 1: each picture is asked for the condition of another"):
        system.require_batch(1, 1)
    with pytest.raises(Fault, match="star_gan needs a condition"):
        plan(system, train, tiny_kinds, tmp_path, Task(target="photo"))
    label = Domain(kind="label", classes=("a", "b"), palette=((0, 0, 0), (1, 1, 1)))
    with pytest.raises(Fault, match="star_gan translates pictures, and the target is of kind label"):
        build(system, Shape(label.at((16, 16)), label.at((16, 16)), asked=KINDS))
    with pytest.raises(Fault, match="not two sides of pictures"):
        plan(system, train, tiny_sides, tmp_path, Task(target="photo", condition="labels"))
    within = Task(source="photo", target="photo", condition="kind")
    with pytest.raises(Fault, match="cyclegan would translate photo into itself; name another source"):
        plan(CycleGANConfig(), train, tiny_kinds, tmp_path, within)


def test_whatever_the_source_it_translates_the_target():
    for task in (Task(target="photo", condition="kind"), Task(source="labels", target="photo", condition="kind")):
        assert asked_of(StarGANConfig(), task) == Task(source="photo", target="photo", condition="kind")
    task = asked_of(StarGANConfig(), Task(target="photo", condition="kind"))
    assert (task.name, task.title) == ("photo_to_another_kind", "photo to another kind")


@pytest.mark.parametrize("norm", ["none", "batch", "instance"])
def test_a_residual_generator_starts_as_the_identity(norm):
    torch.manual_seed(0)
    system = star_gan(StarGANConfig(width=4, blocks=2, norm=norm, residual=True, critic_width=4), shape())
    source = batch()["source"]
    made = torch.tanh(system.networks["generator"](source, torch.eye(3)[torch.tensor([0, 1, 2, 0, 1, 2])]))
    assert torch.allclose(made, 0.98 * source, atol=1e-6)
    loss = (made - 1).square().mean()
    loss.backward()
    assert system.networks["generator"].layers[-1].weight.grad.abs().max() > 0
