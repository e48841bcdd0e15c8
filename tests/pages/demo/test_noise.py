"""The page of models that make pictures from noise: what is asked for is what the generator makes, pixel for pixel."""

from collections.abc import Iterator
from typing import Literal
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from components.models.card import GenerateConfig
from components.models.generator import Generator
from components.models.trained import Trained
from components.pages.demo.models import Model
from components.pages.demo.noise import noise_app
from components.samples.domain import Domain
from components.samples.task import Task
from components.systems import build
from components.systems.generation.cgan import CGANConfig, ConvolutionsConfig
from components.systems.system import Shape
from components.tracking.versions import Version
from tests.conftest import KINDS
from tests.pages.demo.served import LINEAGE, overflowing, pixels, served
from tests.pages.looks import faint

CONFIG = CGANConfig(latent=8, networks=ConvolutionsConfig(width=4, norm="none"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A conditional model of random weights."""
    shape = Shape(None, Domain(kind="image").at((32, 32)), asked=Domain(kind="category", classes=KINDS))
    torch.manual_seed(0)
    weights = {name: 8 * value for name, value in build(CONFIG, shape).networks.state_dict().items()}
    folder = tmp_path_factory.mktemp("noise")
    task = Task(target="photo", condition="kind")
    (card,) = Trained(weights, CONFIG, shape, task, GenerateConfig(batch_size=4), LINEAGE).write(folder)
    version = Version("tiny", 1, ("candidate",), {"weights_sha256": card.weights_sha256}, "", "", "", 0)
    return Model(version, Generator.load(folder / card.name, "cpu"))


@pytest.fixture
def page(model: Model, browser: Browser) -> Iterator[Page]:
    """The page, opened at a phone's width."""
    with served(noise_app([model], "", "127.0.0.1")) as address:
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.goto(address)
        settled(page)
        yield page
        page.close()


def settled(page: Page) -> None:
    """Wait until the newest picture is shown."""
    expect(page.locator(".made-all")).to_have_attribute("aria-busy", "false", timeout=60_000)


def made(model: Model, seed: int, towards: int, share: float, kind: int) -> np.ndarray:
    """What the model makes."""
    ends = {"seeds": [seed], "towards": [towards], "shares": [share]}
    return model.generator.make(**ends, conditions=np.array([kind], np.uint8), padded=False)[0]


def test_seeds_the_way_and_the_class_decide_the_picture(page: Page, model: Model) -> None:
    shown = [pixels(page, ".made canvas")]
    assert np.array_equal(shown[-1], made(model, 0, 1, 0.0, 0))
    page.get_by_label(KINDS[2]).check()
    expect(page.locator(".shown")).to_contain_text(f"Seed 0, {KINDS[2]}")
    shown.append(pixels(page, ".made canvas"))
    assert np.array_equal(shown[-1], made(model, 0, 1, 0.0, 2))
    page.get_by_label("To seed").fill("77")
    page.locator("#way").fill("40")
    expect(page.locator(".shown")).to_contain_text("40 % of the way from seed 0 to seed 77")
    settled(page)
    shown.append(pixels(page, ".made canvas"))
    assert np.array_equal(shown[-1], made(model, 0, 77, 0.4, 2))
    assert len({picture.tobytes() for picture in shown}) == 3
    page.get_by_label("Another first seed").click()
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_went_wrong_is_said_can_be_read_and_closed(page: Page, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme)
    page.route("**/made/**", lambda route: route.fulfill(status=500, body="{}"))
    page.get_by_label("Another first seed").click()
    expect(page.get_by_role("alert")).to_be_in_viewport(ratio=1)
    assert page.get_by_role("alert").inner_text()
    assert (overflowing(page), faint(page)) == ([], [])
    page.get_by_role("button", name="Close this message").click()
    expect(page.locator(".alarm")).to_be_hidden()


def test_what_is_no_seed_no_way_and_no_class_is_refused(model: Model) -> None:
    with served(noise_app([model], "", "127.0.0.1")) as address:

        def status(path: str) -> int:
            try:
                with urlopen(address + path, timeout=60) as answer:
                    return answer.status
            except HTTPError as error:
                with error:
                    return error.code

        assert status("/made/5/6/50/1") == 200
        for path in ("/made/-1/0/0/0", "/made/x/0/0/0", f"/made/{2**53}/0/0/0", "/made/0/0/101/0", "/made/0/0/0/3"):
            assert status(path) == 422, path
        assert status("/assets/noise.html") == 404
