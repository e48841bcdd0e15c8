"""An application served on loopback, and what its page shows."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import uvicorn
from playwright.sync_api import Page, expect

from components.models.card import GenerateConfig
from components.models.generator import Generator
from components.models.trained import Trained
from components.pages.demo.models import Easel, Model
from components.pages.demo.samples import Samples, find_samples
from components.samples.domain import Domain
from components.samples.task import Task
from components.systems.system import Shape
from components.tracking.versions import Version
from tests.conftest import TINY_CLASSES, TINY_PALETTE, TO_PHOTO
from tests.stage_outputs import SYSTEM

LABELS, PHOTO = Domain(kind="label", classes=TINY_CLASSES, palette=TINY_PALETTE), Domain(kind="image")
LINEAGE = {"checkpoint": "last", "step": 40, "key": "0123456789abcdef"}
MINUTE = 60_000


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application from a thread; gives the address."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", server_header=False, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = server.force_exit = True
            thread.join()


def make_model(
    folder: Path,
    task: Task = TO_PHOTO,
    seed: int = 0,
    size: int = 32,
    model: str = "tiny",
    labels: Domain = LABELS,
) -> Model:
    """A model of random weights, as it comes out of the registry."""
    ends = [{"labels": labels}.get(name, PHOTO) for name in task.domains]
    shape = Shape(ends[0].at((size, size)), ends[1].at((size, size)))
    torch.manual_seed(seed)
    from components.systems import build

    weights = {
        name: 8 * value if value.dim() == 4 else value
        for name, value in build(SYSTEM, shape).networks.state_dict().items()
    }
    (card,) = Trained(weights, SYSTEM, shape, task, GenerateConfig(batch_size=4), LINEAGE).write(folder)
    version = Version(model, seed + 1, ("candidate",), {"weights_sha256": card.weights_sha256}, "", "", "", 0)
    return Model(version, Generator.load(folder / card.name, "cpu"))


def make_easel(models: tuple[Model, ...], shards: Path, drawn: bool = False) -> Easel:
    """An easel with the samples of some shards."""
    samples = find_samples(shards, models[0].card)
    return Easel(models, samples, samples.drawn if isinstance(samples, Samples) else drawn)


def pixels(page: Page, canvas: str) -> np.ndarray:
    """What a canvas holds, (H, W, 3)."""
    found = page.evaluate(
        """(what) => {
            const canvas = document.querySelector(what);
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return [canvas.height, canvas.width, [...data.data]];
        }""",
        canvas,
    )
    rgba = np.array(found[2], np.uint8).reshape(found[0], found[1], 4)
    assert (rgba[..., 3] == 255).all()
    return rgba[..., :3]


def drawn_labels(page: Page) -> np.ndarray:
    """The label map on the page, (H, W), by its colours."""
    shown = pixels(page, ".drawing")[:, :, None].astype(int)
    away = np.abs(shown - np.array(TINY_PALETTE)).sum(-1)
    assert (away.min(-1) == 0).all()
    return away.argmin(-1).astype(np.uint8)


def settled(page: Page) -> None:
    """Wait until what is shown is of the first drawing as it is."""
    expect(page.locator(".made-all").first).to_have_attribute("aria-busy", "false", timeout=MINUTE)


def overflowing(page: Page) -> list[str]:
    """What does not fit into its box, but where the box is there to be scrolled, and text for screen readers alone."""
    # The dot at an end of a track stands half outside by design.
    found = page.evaluate(
        """() => [...document.body.querySelectorAll("*")].filter((one) =>
            one instanceof HTMLElement && one.clientWidth > 1 && !one.matches(".track")
            && one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX !== "auto"
        ).map((one) => one.outerHTML.slice(0, 200))"""
    )
    return list(found)


def drag(page: Page, points: list[tuple[float, float]]) -> None:
    """Draw with the mouse through points in shares of the canvas."""
    box = page.locator(".drawing").first.bounding_box()
    assert box is not None
    for i, (x, y) in enumerate(points):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        if i == 0:
            page.mouse.down()
    page.mouse.up()
