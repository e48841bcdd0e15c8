"""Style transfer: its losses, a new style learned alone, and styles as params name them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from components.evaluation.config import EvaluateConfig
from components.evaluation.evaluate import evaluate
from components.evaluation.sides import open_sides
from components.faults import Fault
from components.fragment import take
from components.models.asked import open_asked
from components.models.card import GenerateConfig
from components.models.generator import Generator
from components.models.trained import Trained
from components.params import parse_params
from components.plan import check_plan
from components.samples.domain import Domain
from components.samples.task import Task
from components.shards.reader import Split
from components.shards.writer import write_set
from components.systems import SystemConfig, build
from components.systems.system import Given, Moment, Shape
from components.systems.translation.style_transfer import StyleTransferConfig
from components.systems.translation.styles import SAMPLES, read_style
from components.systems.use import mixture
from components.training.group import Group
from components.training.loop import fit
from components.training.run import asked_of
from pipelines.cli.translate import in_style
from tests.systems.test_every_system import SMALL, run_of
from tests.training.helpers import weights_of

ROOT = Path(__file__).parents[2]
START = Moment(step=0, steps=1, images=0)
PHOTO = Domain(kind="image")


def config_of(**changes: Any) -> StyleTransferConfig:
    return StyleTransferConfig.model_validate(SMALL["style_transfer"] | changes)


def shape(target: Domain = PHOTO, size: tuple[int, int] = (32, 32)) -> Shape:
    return Shape(target.at(size), target.at(size))


def photos(count: int = 4) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    source = torch.rand(count, 3, 32, 32) * 2 - 1
    return {"source": source, "target": source, "seeds": torch.arange(count)}


@pytest.fixture
def picture(tmp_path) -> Path:
    path = tmp_path / "New Style!.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)).save(path)
    return path


def test_a_style_is_drawn_for_each_picture_and_its_loss_is_of_that_style():
    torch.manual_seed(0)
    system = build(config_of(), shape())
    batch = photos(64)
    (phase,) = system.phases
    with torch.no_grad():
        both = phase.terms(system.networks, batch, START)
        validated = system.validation(system.networks, batch)
        for name in ("brick", "coffee"):
            alone = build(config_of(learns=[name]), shape())
            alone.networks.load_state_dict(system.networks.state_dict())
            (only,) = alone.phases
            terms = only.terms(alone.networks, batch, START)
            torch.testing.assert_close(terms["style"], validated[f"style_{name}"])
            torch.testing.assert_close(terms["content"], validated[f"content_{name}"])
    losses = sorted(validated[f"style_{name}"].item() for name in ("brick", "coffee"))
    assert losses[0] < both["style"] < losses[1]
    mean = sum(validated[f"{term}_{name}"] for term in ("content", "style") for name in ("brick", "coffee")) / 2
    torch.testing.assert_close(validated["loss"], mean)
    assert next(iter(validated)) == "loss"


def test_a_style_pictures_own_features_have_no_style_loss():
    config = config_of(styles=["coffee"])
    system = build(config, shape())
    style = read_style("coffee", config.styles["coffee"], 32)
    assert style.shape == (1, 3, 32, 48)
    assert style.min() >= -1
    assert style.max() <= 1
    system.networks["generator"].forward = lambda source, weights: style.expand(len(source), -1, -1, -1)
    (phase,) = system.phases
    wide = torch.zeros(2, 3, 32, 48)
    terms = phase.terms(system.networks, {"source": wide, "seeds": torch.arange(2)}, START)
    assert terms["style"].item() == pytest.approx(0, abs=1e-9)
    assert terms["content"].item() > 0


def test_a_new_style_is_learned_alone(tiny_shards, tmp_path, picture, capsys):
    first = run_of("style_transfer", tiny_shards, tmp_path / "first")
    fit(first, Group())
    last = first.checkpoints.last()
    assert last is not None
    old = last.weights()
    styles = {"brick": "brick", "coffee": "coffee", "new": str(picture)}
    changes = SMALL["style_transfer"] | {"styles": styles, "learns": ["new"]}
    start = str(last.folder / "weights.safetensors")
    second = run_of("style_transfer", tiny_shards, tmp_path / "second", changes, start_from=start, learning_rate=0.1)
    fit(second, Group())
    new = weights_of(second)
    assert {key.split(".")[-1] for key in new.keys() - old.keys()} == {"style_new"}
    for key in old:
        if not key.startswith("ema."):
            assert torch.equal(new[key], old[f"ema.{key}"]), key
    begun = torch.cat([torch.cat([torch.ones(w), torch.zeros(w)]) for w in (4, 8, 8, 8, 4, 3)])
    assert (new["generator.style_new"] - begun).abs().max() > 0.05
    assert "generator.style_new is not in it" in capsys.readouterr().err
    cut = run_of("style_transfer", tiny_shards, tmp_path / "cut", changes, start_from=start, learning_rate=0.1)
    fit(cut, Group(), until=1)
    fit(cut, Group())
    assert all(torch.equal(value, new[key]) for key, value in weights_of(cut).items())


def test_the_key_knows_what_a_style_picture_shows(tiny_shards, tmp_path, picture):
    changes = SMALL["style_transfer"] | {"styles": {"new": str(picture)}}
    first = run_of("style_transfer", tiny_shards, tmp_path, changes)
    assert first.task == Task(source="photo", target="photo")
    assert run_of("style_transfer", tiny_shards, tmp_path, changes).key == first.key
    Image.new("RGB", (40, 40)).save(picture)
    assert run_of("style_transfer", tiny_shards, tmp_path, changes).key != first.key
    picture.unlink()
    with pytest.raises(Fault, match=r"system\.styles\.new\.path: .*New Style!\.png: no such file"):
        run_of("style_transfer", tiny_shards, tmp_path, changes)


def test_styles_by_name_in_a_list_or_in_a_folder(picture):
    by_name = config_of(styles={"new_style": str(picture), "brick": "brick"})
    assert list(by_name.styles) == ["brick", "new_style"]
    assert config_of(styles=["brick", str(picture)]) == by_name
    (of_folder,) = config_of(styles=str(picture.parent)).styles.items()
    assert of_folder == ("new_style", by_name.styles["new_style"])
    dumped = by_name.model_dump(mode="json")
    assert TypeAdapter(SystemConfig).validate_python(dumped) == by_name


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_there(name):
    (style,) = config_of(styles=[name]).styles.values()
    assert min(read_style(name, style, 16).shape[2:]) == 16


@pytest.mark.parametrize(
    ("styles", "said"),
    [
        ([], "at least 1"),
        (["brick", "~/brick.png"], "would both be called brick"),
        (["brick.png"], "from / or ~"),
        ("/nowhere", "is a folder of pictures"),
        ({"A": "brick"}, "pattern"),
        ({"a": {"name": "sample", "picture": "none"}}, "astronaut"),
    ],
)
def test_wrong_styles_are_refused(styles, said):
    with pytest.raises(ValidationError, match=said):
        config_of(styles=styles)
    with pytest.raises(ValidationError, match="learns names some of the styles, brick, coffee"):
        config_of(learns=["moon"])


def test_what_it_cannot_be_built_for_is_refused(tmp_path):
    labels = Domain(kind="label", classes=("a", "b"), palette=((0, 0, 0), (1, 1, 1)))
    with pytest.raises(Fault, match="the target is of kind label"):
        build(config_of(), shape(labels))
    with pytest.raises(Fault, match=r"multiples of 2 and at least 8, not 33x32"):
        build(config_of(), shape(size=(33, 32)))
    with pytest.raises(Fault, match="efficientnet_lite0 has no layer relu3_3"):
        build(config_of(content_layer="relu3_3"), shape())
    (tmp_path / "no.png").write_text("no picture", encoding="utf-8")
    (style,) = config_of(styles=[str(tmp_path / "no.png")]).styles.values()
    with pytest.raises(Fault, match=r"system\.styles\.no: .*no\.png: is no picture that can be read"):
        read_style("no", style, 16)


def test_its_source_is_its_target_and_nothing_elses_is():
    assert asked_of(config_of(), Task(source="labels", target="photo")) == Task(source="photo", target="photo")
    pix2pix = TypeAdapter(SystemConfig).validate_python({"name": "pix2pix"})
    with pytest.raises(Fault, match="pix2pix would translate photo into itself"):
        asked_of(pix2pix, Task(source="photo", target="photo"))


def test_a_style_is_asked_for_by_weights():
    torch.manual_seed(0)
    system = build(config_of(), shape())
    use, network = system.uses["generator"], system.networks["generator"]
    assert use.styles == ("brick", "coffee")
    torch.nn.init.uniform_(network.style_brick)
    torch.nn.init.uniform_(network.style_coffee)
    batch = photos(2)
    with torch.no_grad():
        first, second = (
            use.run(network, Given(batch["seeds"], batch["source"], styles=torch.eye(2)[[i, i]])) for i in range(2)
        )
        assert torch.equal(use.run(network, Given(batch["seeds"], batch["source"])), first)
        assert not torch.allclose(first, second, atol=1e-3)


def test_weights_are_made_to_sum_to_one_and_others_are_refused():
    use = build(config_of(), shape()).uses["generator"]
    assert mixture(use, {"coffee": 3.0, "brick": 1.0}) == (0.25, 0.75)
    assert mixture(use, {"coffee": 0.5}) == (0.0, 1.0)
    for wrong, said in (
        ({"moon": 1.0}, "style moon: is not one of brick, coffee"),
        ({"brick": -1.0}, "style brick: its weight is -1"),
        ({"brick": float("nan")}, "style brick: its weight is nan"),
        ({"brick": 0.0}, "give at least one of brick, coffee a weight above 0"),
    ):
        with pytest.raises(Fault, match=said):
            mixture(use, wrong)
    with pytest.raises(Fault, match="shows nothing in styles"):
        mixture(replace(use, styles=()), {"brick": 1.0})


def test_a_style_that_is_not_there_is_refused_before_anything_is_trained(tmp_path, monkeypatch):
    defaults = (ROOT / "configs/default.yaml").read_text(encoding="utf-8")
    fragment = (ROOT / "configs/systems/style_transfer.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(take(defaults, fragment, defaults, "style_transfer")[0])
    monkeypatch.chdir(tmp_path)
    check_plan(parse_params(values | {"generate": values["generate"] | {"style": {"brick": 2, "coffee": 1}}}, "params"))
    with pytest.raises(Fault, match=r"^generate\.style moon: is not one of brick, chelsea, coffee, hubble_deep_field$"):
        check_plan(parse_params(values | {"generate": values["generate"] | {"style": {"moon": 1}}}, "params"))
    values["system"]["styles"] = {"mine": str(tmp_path / "none.png")}
    with pytest.raises(Fault, match=r"^system\.styles\.mine\.path: .*none\.png: no such file$"):
        check_plan(parse_params(values, "params"))


def test_a_generator_shows_the_style_of_its_card_or_another(tiny_shards, tmp_path, capsys):
    run = run_of("style_transfer", tiny_shards, tmp_path)
    weights = build(run.system, run.shape()).networks["generator"].state_dict()
    weights["style_coffee"] = torch.rand_like(weights["style_coffee"])
    checkpoint = {f"generator.{key}": value for key, value in weights.items()}
    lineage = {"checkpoint": "last", "step": 0, "key": run.key}
    made = {}
    pictures = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    for name, style in (("first", {}), ("brick", {"brick": 2.0}), ("coffee", {"coffee": 1.0})):
        generate = GenerateConfig(style=style, batch_size=2)
        (card,) = Trained(checkpoint, run.system, run.shape(), run.task, generate, lineage).write(tmp_path / name)
        assert card.style == style
        generator = Generator.load(tmp_path / name / card.name)
        made[name] = generator.translate(pictures)
        made[f"{name} in coffee"] = generator.in_style({"coffee": 5.0}).translate(pictures)
    np.testing.assert_array_equal(made["first"], made["brick"])
    for name in ("first in coffee", "brick in coffee", "coffee in coffee"):
        np.testing.assert_array_equal(made[name], made["coffee"])
    assert (made["brick"] != made["coffee"]).mean() > 0.1
    mixed = in_style(generator, "coffee=3,brick").translate(pictures)
    assert capsys.readouterr().err == "--style coffee=3,brick: weights become shares: coffee 0.75, brick 0.25\n"
    np.testing.assert_array_equal(mixed, generator.in_style({"brick": 0.25, "coffee": 0.75}).translate(pictures))
    np.testing.assert_array_equal(in_style(generator, "brick").translate(pictures), made["brick"])
    assert capsys.readouterr().err == ""
    with pytest.raises(Fault, match="--style brick=x: x is no number"):
        in_style(generator, "brick=x")
    with pytest.raises(Fault, match="names brick twice"):
        in_style(generator, "brick,brick")


def test_it_is_generated_and_measured_without_a_true_picture(tiny_shards, tmp_path):
    run = run_of("style_transfer", tiny_shards, tmp_path)
    fit(run, Group())
    last = run.checkpoints.last()
    assert last is not None
    lineage = {"checkpoint": "last", "step": 2, "key": run.key}
    (card,) = Trained(last.weights(), run.system, run.shape(), run.task, GenerateConfig(batch_size=4), lineage).write(
        tmp_path
    )
    assert card.name == "photo_to_photo"
    train, test, sources = open_sides(run.shards, card.task)
    made = open_asked(run.shards, card).all(Generator.load(tmp_path / card.name))
    write_set(tmp_path / "made", "tiny", {"photo": PHOTO.at((32, 32))}, Task(target="photo"), {"test": made})
    done = evaluate(
        EvaluateConfig(num_bootstrap=40),
        train,
        test,
        Split(tmp_path / "made", "test"),
        card.task,
        None,
        sources=sources,
    )
    assert list(done.metrics["rows"]) == ["model", "real", "floor", "mean_colour"]
    assert done.metrics["skipped"]["pixels"] == "no true picture: photo is shown in another way"
    assert not {"l1", "psnr", "ssim"} & done.metrics["rows"]["model"].keys()
    assert done.metrics["rows"]["model"]["fid_efficientnet_lite0"]["value"] > 0
    assert set(done.metrics["summary"]) == {"beside_floor"}
