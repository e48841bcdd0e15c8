"""A task names what is made of what, and is asked rather than read out of its name."""

import pytest
from pydantic import ValidationError

from components.faults import Fault
from components.samples.task import Task
from components.systems import SystemConfig  # noqa: F401 (all systems are there)
from components.systems.generation.cgan import CGANConfig
from components.systems.generation.dcgan import DCGANConfig
from components.systems.translation.pix2pix import Pix2PixConfig
from components.training.run import asked_of


@pytest.mark.parametrize(
    ("task", "name", "title", "domains"),
    [
        (Task(target="photo"), "photo", "photo", ("photo",)),
        (Task(target="photo", condition="kind"), "photo_by_kind", "photo by kind", ("photo", "kind")),
        (Task(source="labels", target="photo"), "labels_to_photo", "labels to photo", ("labels", "photo")),
        (Task(source="a_to_b", target="c"), "a_to_b_to_c", "a_to_b to c", ("a_to_b", "c")),
        (
            Task(source="face", target="face", condition="hair"),
            "face_to_another_hair",
            "face to another hair",
            ("face", "hair"),
        ),
    ],
)
def test_names(task, name, title, domains):
    assert (task.name, task.title, task.domains) == (name, title, domains)


def test_the_way_back():
    assert Task(source="a_to_b", target="c").back() == Task(source="c", target="a_to_b")
    with pytest.raises(ValueError, match="no way back"):
        Task(target="photo").back()


@pytest.mark.parametrize(
    "wrong", [{"source": "a", "target": "b", "condition": "a"}, {"target": "a", "condition": "a"}, {"target": "A"}, {}]
)
def test_what_is_no_task_is_refused(wrong):
    with pytest.raises(ValidationError):
        Task(**wrong)


def test_a_system_takes_no_more_of_a_task_than_it_needs():
    whole = Task(source="labels", target="photo", condition="kind")
    assert asked_of(DCGANConfig(), whole) == Task(target="photo")
    assert asked_of(CGANConfig(), whole) == Task(target="photo", condition="kind")
    assert asked_of(Pix2PixConfig(), whole) == Task(source="labels", target="photo")
    with pytest.raises(Fault, match="pix2pix needs a source to translate, and photo has none; name one in train"):
        asked_of(Pix2PixConfig(), Task(target="photo"))
    with pytest.raises(Fault, match=r"cgan needs a condition .* asks for none"):
        asked_of(CGANConfig(), Task(source="labels", target="photo"))
