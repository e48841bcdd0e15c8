"""The page in a browser: what is drawn is what is translated, by mouse, keys and finger, to the pixel."""

import asyncio
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from components.pages.demo.app import demo_app
from components.pages.demo.models import Model
from components.samples.domain import Domain, sized
from components.samples.task import Task
from components.shards.reader import Split
from components.shards.writer import write_set
from components.tasks.degrade import edges
from tests.conftest import TINY_PALETTE, TO_LABELS, tiny_sample
from tests.pages.demo.served import (
    LABELS,
    MINUTE,
    PHOTO,
    drag,
    drawn_labels,
    make_easel,
    make_model,
    overflowing,
    pixels,
    served,
    settled,
)
from tests.pages.looks import faint


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, ...]:
    return tuple(make_model(tmp_path_factory.mktemp("model"), seed=seed) for seed in (0, 1))


@pytest.fixture(scope="module")
def address(models: tuple[Model, ...], tiny_shards: Path) -> Iterator[str]:
    with served(demo_app([make_easel(models, tiny_shards)], "tiny has no champion yet", "127.0.0.1")) as address:
        yield address


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        context.set_default_timeout(MINUTE)
        yield context


@pytest.fixture
def page(context: BrowserContext, address: str) -> Iterator[Page]:
    """The page with a blank sheet; a line in the console fails the test."""
    yield from _opened(context, address)


def _opened(context: BrowserContext, address: str) -> Iterator[Page]:
    page, lines = context.new_page(), []
    page.on("console", lambda message: lines.append(message.text))
    page.on("pageerror", lambda error: lines.append(str(error)))
    page.goto(address)
    settled(page)
    page.get_by_role("button", name="Clear").first.click()
    settled(page)
    yield page
    assert not lines


def require_translated(page: Page, models: tuple[Model, ...], source: np.ndarray) -> None:
    for i, model in enumerate(models):
        made = model.generator.translate(source[None])[0]
        assert np.array_equal(pixels(page, f"#labels_to_photo-{i}"), made), model.version.name


def test_what_is_drawn_is_translated_pixel_for_pixel(page: Page, models: tuple[Model, ...]) -> None:
    assert not drawn_labels(page).any()
    drag(page, [(0.2, 0.2), (0.5, 0.4), (0.7, 0.3)])
    page.get_by_role("radio", name="snow").check(force=True)
    drag(page, [(0.2, 0.8), (0.7, 0.7)])
    page.get_by_role("radio", name="Fill").check(force=True)
    page.get_by_role("radio", name="sand").check(force=True)
    drag(page, [(0.5, 0.97)])
    settled(page)
    source = drawn_labels(page)
    assert set(np.unique(source)) == {1, 2, 3}  # the sea was filled with sand
    assert source[6, 6] == 1
    assert source[25, 6] == 3
    require_translated(page, models, source)
    line = page.locator(".timing").inner_text()
    assert re.fullmatch(
        r"From stroke to picture \d+ ms, of which the models \d+ ms; median of the last \d+: \d+ ms\.", line
    )
    expect(page.get_by_role("status")).to_have_text("photo updated")


def test_undo_and_redo_walk_through_the_strokes(page: Page, models: tuple[Model, ...]) -> None:
    states = [drawn_labels(page)]
    for y in (0.2, 0.5, 0.8):
        drag(page, [(0.1, y), (0.9, y)])
        states.append(drawn_labels(page))
    for before in states[-2::-1]:
        page.get_by_role("button", name="Undo").click()
        assert np.array_equal(drawn_labels(page), before)
    for after in states[1:]:
        page.get_by_role("button", name="Redo").click()
        assert np.array_equal(drawn_labels(page), after)
    settled(page)
    require_translated(page, models, states[-1])


def test_by_keys_alone(page: Page, models: tuple[Model, ...]) -> None:
    canvas = page.get_by_role("application", name="Drawing of labels, 32 by 32 pixels")
    for _ in range(40):
        if canvas.evaluate("canvas => document.activeElement === canvas"):
            break
        page.keyboard.press("Tab")
    else:
        pytest.fail("Tab does not come to the drawing")
    keys = page.keyboard
    keys.press("3")
    for _ in range(7):
        keys.press("[")
    assert page.locator(".size b").inner_text() == "1"
    keys.down(" ")
    for _ in range(4):
        keys.press("ArrowRight")
    keys.up(" ")
    keys.press("Shift+ArrowDown")
    keys.press("4")
    keys.press("]")
    keys.press("[")
    keys.press(" ")
    expected = np.zeros((32, 32), np.uint8)
    expected[16, 16:21], expected[24, 20] = 2, 3
    assert np.array_equal(drawn_labels(page), expected)
    expect(page.get_by_role("status")).to_have_text(re.compile("row 25, column 21, snow|photo updated"))
    keys.press("Control+z")
    expected[24, 20] = 0
    assert np.array_equal(drawn_labels(page), expected)
    keys.press("ArrowUp")
    keys.press("2")
    keys.press("f")
    settled(page)
    expected[expected == 0] = 1
    assert np.array_equal(drawn_labels(page), expected)
    require_translated(page, models, expected)


def test_by_finger_on_a_phone(browser: Browser, address: str, models: tuple[Model, ...]) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "color_scheme": "dark"}
    with browser.new_context(**phone, device_scale_factor=2) as context:
        context.set_default_timeout(MINUTE)
        for page in _opened(context, address):
            assert page.evaluate("document.documentElement.scrollWidth") == 390
            assert faint(page) == []
            page.locator(".drawing").scroll_into_view_if_needed()
            page.get_by_role("radio", name="sand").tap()
            page.locator(".drawing").evaluate("canvas => canvas.scrollIntoView({block: 'center'})")
            box = page.locator(".drawing").bounding_box()
            assert box is not None
            before = page.evaluate("scrollY")
            finger = context.new_cdp_session(page)
            ways = [("touchStart", 0.3, 0.2), ("touchMove", 0.3, 0.5), ("touchMove", 0.3, 0.8), ("touchEnd", 0, 0)]
            for kind, x, y in ways:
                point = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
                finger.send(
                    "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [] if kind == "touchEnd" else [point]}
                )
            settled(page)
            assert page.evaluate("scrollY") == before  # the page stays where it is under the finger
            source = drawn_labels(page)
            assert (source[7:26, 9] == 2).all()
            assert (source[:, 20:] == 0).all()
            require_translated(page, models, source)
            # What is made stays in sight while the drawing is.
            made = page.locator("#labels_to_photo-0").bounding_box()
            assert made is not None
            assert made["y"] >= 0
            small = page.evaluate(
                "[...document.querySelectorAll('.tools label, .tools button')]"
                ".map(one => one.getBoundingClientRect().height).filter(height => height < 40)"
            )
            assert not small


def test_a_label_map_is_opened_as_indices_or_in_colour(page: Page, models: tuple[Model, ...], tmp_path: Path) -> None:
    labels = tiny_sample(7)["labels"]
    coloured = np.asarray(TINY_PALETTE, np.uint8)[labels]
    for name, picture in (("indices.png", labels), ("coloured.png", coloured)):
        page.get_by_role("button", name="Clear").click()
        Image.fromarray(picture).save(tmp_path / name)
        page.set_input_files(".file", tmp_path / name)
        expect(page.locator(".shown")).to_contain_text(f"From {name}: ")
        settled(page)
        assert np.array_equal(drawn_labels(page), labels)
        require_translated(page, models, labels)


def test_what_cannot_be_opened_is_said(context: BrowserContext, address: str, tmp_path: Path) -> None:
    page = context.new_page()
    page.goto(address)
    settled(page)
    before = drawn_labels(page)
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    (tmp_path / "text.png").write_text("no picture")
    Image.fromarray(noise).save(tmp_path / "noise.png")
    (tmp_path / "large.png").write_bytes(bytes(16_000_001))
    for name, word in (("text.png", "not a PNG"), ("noise.png", "is it a photo"), ("large.png", "16000001 bytes")):
        page.set_input_files(".file", tmp_path / name)
        expect(page.get_by_role("alert")).to_contain_text(name)
        expect(page.get_by_role("alert")).to_contain_text(word)
    assert np.array_equal(drawn_labels(page), before)


def test_a_page_of_twelve_classes_fits_every_window_and_says_what_it_does(
    context: BrowserContext, tmp_path: Path
) -> None:
    names = ("background", "evergreen needleleaf forest", "w" * 60, *(f"class {i}" for i in range(3, 12)))
    twelve = Domain(kind="label", classes=names, palette=tuple((20 * i, 255 - 20 * i, 0) for i in range(12)))
    easel = make_easel((make_model(tmp_path / "model", labels=twelve),), tmp_path)
    (tmp_path / "text.png").write_bytes(bytes(3_000_000))
    with served(demo_app([easel], "", "127.0.0.1")) as address:
        page = context.new_page()
        page.set_viewport_size({"width": 1280, "height": 800})
        held = []
        page.route("**/translate/*", lambda route: held.append(route))
        page.goto(address)
        assert page.locator("h1").inner_text() == "Labels to photo"
        waits = "getComputedStyle(document.querySelector('.made'), '::before').content"
        assert "first picture" in page.evaluate(waits)
        page.wait_for_timeout(200)
        for route in held:
            route.continue_()
        page.unroute("**/translate/*")
        settled(page)
        assert page.evaluate(waits) == "none"
        for key, name in (("1", names[0]), ("0", "class 9"), ("a", "class 10"), ("b", "class 11")):
            page.locator(".drawing").press(key)
            expect(page.locator(".ink:has(:checked)")).to_contain_text(name)
        page.evaluate(
            """() => { window.said = []; new MutationObserver(() => {
                const one = document.querySelector(".sending"); if (!one.hidden) window.said.push(one.textContent);
            }).observe(document.querySelector(".sending"), {subtree: true, childList: true, attributes: true}); }"""
        )
        page.set_input_files(".file", tmp_path / "text.png")
        expect(page.get_by_role("alert")).to_contain_text("text.png")
        expect(page.get_by_role("alert")).to_be_in_viewport(ratio=1)
        page.get_by_role("button", name="Close this message").click()
        expect(page.locator(".alarm")).to_be_hidden()
        said = page.evaluate("window.said")
        assert "Sending text.png" in said
        assert "Reading text.png" in said
        expect(page.locator(".sending")).to_be_hidden()
        for width in (1280, 1000, 390):
            page.set_viewport_size({"width": width, "height": 800})
            assert not overflowing(page), width
        inks, drawing = (page.locator(what).bounding_box() for what in (".inks", ".drawing"))
        assert inks is not None
        assert drawing is not None
        assert inks["y"] + inks["height"] <= drawing["y"]  # on a phone the palette comes first


def test_a_sample_stands_beside_its_truth(page: Page, models: tuple[Model, ...], tiny_shards: Path) -> None:
    page.get_by_role("button", name="Test sample").click()
    expect(page.locator(".truth")).to_be_visible()
    settled(page)
    split = Split(tiny_shards, "test")
    place = split.keys.index(page.locator(".key").inner_text())
    assert f"Test sample {place + 1}, {split.keys[place]}" in page.locator(".shown").inner_text()
    assert np.array_equal(drawn_labels(page), split.picture(place, "labels"))
    assert np.array_equal(pixels(page, "#labels_to_photo-truth"), split.picture(place, "photo"))
    require_translated(page, models, split.picture(place, "labels"))
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".truth")).to_be_hidden()


def test_the_result_and_the_drawing_are_downloaded(page: Page, models: tuple[Model, ...], tmp_path: Path) -> None:
    drag(page, [(0.1, 0.4), (0.9, 0.6)])
    settled(page)
    source = drawn_labels(page)
    for button, name, expected in (
        (
            "Download the photo by tiny version 2 as PNG",
            "photo_tiny_v2.png",
            models[1].generator.translate(source[None])[0],
        ),
        ("Save drawing", "labels.png", np.asarray(TINY_PALETTE, np.uint8)[source]),
    ):
        with page.expect_download() as download:
            page.get_by_role("button", name=button).click()
        assert download.value.suggested_filename == name
        with Image.open(io.BytesIO(download.value.path().read_bytes()), formats=("PNG",)) as image:
            assert np.array_equal(np.asarray(image.convert("RGB")), expected)


def test_everything_has_a_name_for_a_screen_reader(page: Page, models: tuple[Model, ...]) -> None:
    unnamed = page.evaluate(
        """[...document.querySelectorAll("input, button, canvas, [role=group], [role=region]")].filter((one) =>
            !one.getAttribute("aria-label") && !one.labels?.[0]?.textContent.trim() && !one.textContent.trim()
            && !document.getElementById(one.getAttribute("aria-labelledby"))).map((one) => one.outerHTML)"""
    )
    assert not unnamed
    expect(page.get_by_role("img", name="photo by tiny version 2 (candidate)")).to_be_visible()
    drag(page, [(0.5, 0.5)])
    described = page.get_by_role("application", name="Drawing of labels").get_attribute("aria-describedby") or ""
    shares = page.locator(f"#{described.split()[0]}").inner_text().replace("\N{NO-BREAK SPACE}", " ")
    forest = round(100 * (drawn_labels(page) == 1).mean())
    assert shares == f"Drawn: water {100 - forest} %, forest {forest} %."
    text = page.inner_text("body")
    assert "tiny has no champion yet." in text
    assert all(model.card.weights_sha256 in text.replace("\n", "") for model in models)


def test_one_request_at_a_time_and_the_newest_stroke_wins(
    context: BrowserContext, models: tuple[Model, ...], tmp_path: Path
) -> None:
    app, now, seen = demo_app([make_easel(models, tmp_path)], "", "127.0.0.1"), [0], []

    async def slow(scope, receive, send):
        asked = scope.get("path", "").startswith("/translate")
        if asked:
            now[0] += 1
            seen.append(now[0])
            await asyncio.sleep(0.3)
        await app(scope, receive, send)
        now[0] -= asked

    with served(slow) as address:
        page = context.new_page()
        page.goto(address)
        settled(page)
        seen.clear()
        drag(page, [(0.1 + 0.8 * i / 40, 0.5) for i in range(41)])
        settled(page)
        assert set(seen) == {1}
        assert 1 <= len(seen) < 40
        require_translated(page, models, drawn_labels(page))
        assert "there are no shards" in page.inner_text(".tools")


def test_edges_are_drawn_with_a_pen_and_photos_opened(context: BrowserContext, tmp_path: Path) -> None:
    photos = [tiny_sample(i)["photo"] for i in range(3)]
    samples = [(f"s{i}", {"edges": edges(photo, 0.1, 0.2, 1.0), "photo": photo}) for i, photo in enumerate(photos)]
    splits = {"train": samples, "val": samples[:1], "test": samples}
    write_set(
        tmp_path / "shards",
        "tiny",
        sized({"edges": PHOTO, "photo": PHOTO}, (32, 32)),
        Task(source="edges", target="photo"),
        splits,
    )
    there = make_model(tmp_path / "a", Task(source="edges", target="photo"))
    back = make_model(tmp_path / "b", TO_LABELS)
    easels = [make_easel((there,), tmp_path / "shards"), make_easel((back,), tmp_path / "shards")]
    assert [easel.drawn for easel in easels] == [True, False]
    with served(demo_app(easels, "", "127.0.0.1")) as address:
        for page in _opened(context, address):
            drawing = page.locator("[data-direction=edges_to_photo]")
            expect(drawing.get_by_role("radio", name="white")).to_be_visible()
            assert (pixels(page, ".drawing") == 255).all()
            drag(page, [(0.2, 0.5), (0.8, 0.5)])
            settled(page)
            source = pixels(page, ".drawing")
            assert (source[16, 7:25] == 0).all()
            assert (source == 0).all(-1).sum() < 60  # a thin line
            assert np.array_equal(pixels(page, "#edges_to_photo-0"), there.generator.translate(source[None])[0])
            # The other direction, of a photo that is not square: its middle, and labels in their colours.
            wide = np.concatenate([np.zeros((32, 8, 3), np.uint8), photos[0], np.zeros((32, 8, 3), np.uint8)], axis=1)
            Image.fromarray(wide).save(tmp_path / "wide.png")
            page.set_input_files("[data-direction=photo_to_labels] .file", tmp_path / "wide.png")
            expect(page.locator("[data-direction=photo_to_labels] .shown")).to_have_text("From wide.png.")
            page.wait_for_selector("[data-direction=photo_to_labels] .made-all[aria-busy=false]")
            assert np.array_equal(pixels(page, "[data-direction=photo_to_labels] .drawing"), photos[0])
            labels = back.generator.translate(photos[0][None])[0]
            assert np.array_equal(pixels(page, "#photo_to_labels-0"), np.asarray(LABELS.palette, np.uint8)[labels])
