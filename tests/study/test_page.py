"""The page itself, in a browser: a whole study, its second, and what a reload does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from components.study.config import Settings
from components.study.result import make_result
from components.study.simulate import running
from components.study.study import Study
from tests.pages.demo.served import overflowing
from tests.pages.looks import faint
from tests.study.helpers import SMALL, make_study

WAIT = 120_000  # ms
# Watches the canvases frame by frame from outside the page's own code: how long there was something on them.
WATCH = """
window.exposures = [];
let since = null;
const filled = () => [...document.querySelectorAll(".pair canvas")].every((canvas) =>
  canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[3] > 0);
const look = (now) => {
  const on = filled() && document.querySelectorAll(".pair canvas").length === 2;
  if (on && since === null) since = now;
  if (!on && since !== null) { window.exposures.push(now - since); since = null; }
  requestAnimationFrame(look);
};
addEventListener("DOMContentLoaded", () => requestAnimationFrame(look));
"""


class Visit:
    """A page in a context of its own, and everything its console complained about."""

    def __init__(self, context: BrowserContext, port: int, watched: bool = False) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(WAIT)
        self.complaints: list[str] = []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        if watched:
            self.page.add_init_script(WATCH)
        self.page.goto(f"http://127.0.0.1:{port}/")

    def asked(self) -> None:
        """Wait until an answer is awaited."""
        expect(self.page.get_by_role("button", name="The left one was real")).to_be_enabled(timeout=WAIT)


@pytest.fixture
def contexts(browser: Browser) -> Iterator[Any]:
    """Makes browser contexts, and closes them in the end."""
    made: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        made.append(browser.new_context(**options))
        return made[-1]

    yield make
    for context in made:
        context.close()


def standing(study: Study) -> Any:
    """Of the one participant."""
    with study.votes._reading() as database:
        token = database.execute("SELECT token FROM sessions").fetchone()[0]
    return study.votes.standing(token)


def test_a_whole_study_by_keyboard(tmp_path: Path, one, contexts):
    """Practice with feedback, trials without, thank-you; every vote is kept as pressed and every exposure a second."""
    study = make_study(tmp_path / "v.db", one)
    with running(study) as port:
        visit = Visit(contexts(viewport={"width": 1280, "height": 800}), port)
        page = visit.page
        expect(page.get_by_role("heading", level=1)).to_have_text("Which picture is real?")
        assert "No name, no address" in page.inner_text("#welcome")
        # The keys of somebody who sees the button: before, there is nothing to go to.
        expect(page.get_by_role("button", name="I agree, start")).to_be_visible(timeout=WAIT)
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#go")).to_have_text("Show the first pair", timeout=WAIT)
        page.keyboard.press("Enter")
        pressed = []
        for position in range(SMALL.pairs):
            visit.asked()
            pair = standing(study).pair
            side = pair.real_side if position != 1 else {"left": "right", "right": "left"}[pair.real_side]
            if position % 3:
                side = "left"
            page.keyboard.press({"left": "ArrowLeft", "right": "ArrowRight"}[side])
            pressed.append(side)
            if position < SMALL.practice:
                right = "Correct" if side == pair.real_side else "Wrong"
                expect(page.locator("#say")).to_have_text(f"{right}: the {pair.real_side} one was real.", timeout=WAIT)
                page.keyboard.press("Enter")
            if position == SMALL.practice - 1:
                expect(page.locator("#say")).to_contain_text("The practice is over", timeout=WAIT)
                page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Thank you")).to_be_visible(timeout=WAIT)
        page.reload()
        expect(page.get_by_role("heading", name="Thank you")).to_be_visible(timeout=WAIT)
        assert visit.complaints == []
    votes = [vote for *_, vote in study.votes.rows()]
    assert [vote.side for vote in votes] == pressed
    # A frame is a sixtieth of a second; on a machine that is busy with other things it may be some of them late.
    assert all(983 <= vote.exposure_ms <= 1400 for vote in votes), [vote.exposure_ms for vote in votes]


def test_the_second_as_seen_from_outside(tmp_path: Path, one, contexts):
    study = make_study(tmp_path / "v.db", one)
    with running(study) as port:
        visit = Visit(contexts(), port, watched=True)
        visit.page.get_by_role("button", name="I agree, start").click()
        visit.page.get_by_role("button", name="Show the first pair").click()
        for _ in range(2):
            visit.asked()
            visit.page.get_by_role("button", name="The right one was real").click()
            visit.page.get_by_role("button", name="Next").click()
        visit.page.get_by_role("button", name="Start").click()
        visit.asked()
        exposures = visit.page.evaluate("window.exposures")
        said = [vote.exposure_ms for *_, vote in study.votes.rows() if vote]
    assert len(exposures) == 3
    # The watcher runs a frame behind at most, at either end.
    assert all(abs(seen - told) < 40 for seen, told in zip(exposures[:2], said, strict=True)), (exposures, said)


def test_touch_on_a_phone_and_nothing_wider_than_it(tmp_path: Path, one, contexts):
    study = make_study(tmp_path / "v.db", one)
    with running(study) as port:
        visit = Visit(contexts(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True), port)
        page = visit.page
        page.get_by_role("button", name="I agree, start").tap()
        page.get_by_role("button", name="Show the first pair").tap()
        visit.asked()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        for name in ("left", "right"):
            box = page.locator(f"#{name}").bounding_box()
            assert box["width"] > 150
            assert box["height"] > 150
        page.locator("#right").tap()
        page.get_by_role("button", name="Next").tap()
        visit.asked()
        assert visit.complaints == []
    assert [vote.side for *_, vote in study.votes.rows() if vote] == ["right"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_every_control_is_in_view_and_every_word_can_be_read(tmp_path: Path, one, contexts, scheme):
    study = make_study(tmp_path / "v.db", one, SMALL.model_copy(update={"invited": True}))
    code = next(iter(study.invite(1)))
    phone = {"viewport": {"width": 390, "height": 664}, "has_touch": True, "is_mobile": True, "color_scheme": scheme}
    with running(study) as port:
        page = Visit(contexts(**phone), port).page

        def looks_well(*shown):
            for control in shown:
                expect(control).to_be_in_viewport(ratio=1, timeout=WAIT)
            assert page.evaluate("scrollY") == 0
            assert (overflowing(page), faint(page)) == ([], [])

        agree, name = page.get_by_role("button", name="I agree, start"), page.get_by_label("Your code")
        looks_well(agree, name)
        assert not page.locator("kbd").first.is_visible()  # there are no arrow keys
        name.fill("wrong")
        agree.tap()
        looks_well(agree, name, page.get_by_role("alert"))
        name.fill(code)
        agree.tap()
        looks_well(page.get_by_role("button", name="Show the first pair"))
        page.get_by_role("button", name="Show the first pair").tap()
        expect(page.locator("#left")).to_be_enabled(timeout=WAIT)
        looks_well(page.locator("#left"), page.locator("#right"))
        page.locator("#left").tap()
        looks_well(page.get_by_role("button", name="Next"))


def test_a_reload_gives_no_second_look(tmp_path: Path, one, contexts):
    study = make_study(tmp_path / "v.db", one)
    with running(study) as port:
        visit = Visit(contexts(), port, watched=True)
        page = visit.page
        page.get_by_role("button", name="I agree, start").click()
        page.get_by_role("button", name="Show the first pair").click()
        visit.asked()
        page.reload()
        expect(page.locator("#say")).to_have_text("This pair was on screen already.", timeout=WAIT)
        page.get_by_role("button", name="Show the first pair").or_(page.get_by_role("button", name="Go on")).click()
        visit.asked()
        assert page.evaluate("window.exposures") == []
        page.keyboard.press("ArrowLeft")
        page.get_by_role("button", name="Next").wait_for()
        assert standing(study).position == 1
        # Nothing moves while no answer is awaited: keys that are held or pressed twice are no votes.
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowRight")
        page.get_by_role("button", name="Next").click()
        visit.asked()
        assert standing(study).position == 1


def test_two_tabs_of_one_participant(tmp_path: Path, one, contexts):
    study = make_study(tmp_path / "v.db", one, Settings(practice=0, trials=3, vigilance=0))
    context = contexts()
    with running(study) as port:
        first = Visit(context, port)
        first.page.get_by_role("button", name="I agree, start").click()
        first.page.get_by_role("button", name="Show the first pair").wait_for()
        second = Visit(context, port)
        first.page.get_by_role("button", name="Show the first pair").click()
        first.asked()
        second.page.bring_to_front()
        second.page.get_by_role("button", name="Show the first pair").click()
        second.asked()
        second.page.keyboard.press("ArrowLeft")
        second.asked()  # the next pair
        first.page.bring_to_front()
        first.page.keyboard.press("ArrowRight")  # the first one again: what counts is the first answer
        first.asked()
        assert standing(study).position == 1
        first.page.keyboard.press("ArrowRight")
        first.asked()
        assert standing(study).position == 2
        first.page.keyboard.press("ArrowRight")
        expect(first.page.get_by_role("heading", name="Thank you")).to_be_visible(timeout=WAIT)
        second.page.bring_to_front()
        second.page.keyboard.press("ArrowLeft")
        expect(second.page.get_by_role("heading", name="Thank you")).to_be_visible(timeout=WAIT)
    assert [vote.side for *_, vote in study.votes.rows() if vote] == ["left", "right", "right"]


def test_half_way_is_incomplete_and_nothing_is_lost(tmp_path: Path, one, contexts):
    study = make_study(tmp_path / "v.db", one, SMALL.model_copy(update={"practice": 0}))
    with running(study) as port:
        visit = Visit(contexts(), port)
        visit.page.get_by_role("button", name="I agree, start").click()
        visit.page.get_by_role("button", name="Show the first pair").click()
        for _ in range(3):
            visit.asked()
            visit.page.keyboard.press("ArrowRight")
            expect(visit.page.locator("#right")).to_be_disabled(timeout=WAIT)
        visit.asked()
        visit.page.close()
    row = make_result(study.votes)["algorithms"]["a"]
    assert (row["participants"], row["incomplete"]) == (0, 1)
    assert [vote.side for *_, vote in study.votes.rows() if vote] == ["right"] * 3


def test_an_invitation_in_the_address(tmp_path: Path, one, contexts):
    study = make_study(tmp_path / "v.db", one, SMALL.model_copy(update={"invited": True}))
    code = next(iter(study.invite(1)))
    with running(study) as port:
        visit = Visit(contexts(), port)
        page = visit.page
        page.get_by_label("Your code").fill("wrong")
        page.get_by_role("button", name="I agree, start").click()
        expect(page.get_by_role("alert")).to_have_text("This code is not one of the study's.", timeout=WAIT)
        page.goto(f"http://127.0.0.1:{port}/#{code}")
        page.reload()
        expect(page.get_by_label("Your code")).to_have_value(code)
        page.get_by_role("button", name="I agree, start").click()
        page.get_by_role("button", name="Show the first pair").wait_for()
