"""The commands review, promote and rollback, and the page that a review writes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import yaml
from PIL import Image
from playwright.sync_api import Browser

from components.tracking.store import open_store
from pipelines import cli
from tests.pages.demo.served import overflowing
from tests.pages.looks import faint
from tests.review.helpers import FID, IOU, MLFLOW_WARNS, Project
from tests.stage_outputs import build_outputs

pytestmark = MLFLOW_WARNS
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_shards: Path) -> Iterator[Project]:
    """Two versions, the first the champion and the second better."""
    root = build_outputs(tmp_path_factory.mktemp("command"), tiny_shards)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["register"] |= {"model": "tiny", "experiment": "tests"}
    params["review"] = {"require": [FID], "no_worse_than": {IOU: 0.02}, "floors": {FID: "input"}, "pictures": 3}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    home = root / ".pix2pipe"
    made = Project(root, open_store(f"sqlite:///{home}/mlflow.db", home, "tests"))
    made.register()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        cli.main(["review", "1"])
        cli.main(["promote", "1", "--by", "Ann", "--why", "the first"])
        made.register(fid=0.8, iou=0.95)
        yield made


def test_a_version_is_shown_with_its_reasons_its_pictures_and_its_page(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["review", "candidate"])
    out = capsys.readouterr().out
    assert "tiny version 2: better than version 1, the champion; the gate is passed" in out
    assert f"  - {FID}: better by 32 (" in out
    assert any(line.split()[:3] == [FID, "128", "160"] for line in out.splitlines())
    picture = project.root / ".pix2pipe/review/tiny_v2/tiny_v2.png"
    with Image.open(picture) as grid:
        assert grid.size == (4 * (128 + 6) + 6, 3 * (128 + 6) + 22 + 6)  # source, champion, candidate, truth
    assert (picture.parent / "index.html").is_file()
    cli.main(["review"])
    listed = capsys.readouterr().out
    assert "tiny at sqlite" in listed
    assert "promotion by Ann, " in listed
    rows = [line.split() for line in listed.splitlines()]
    assert ["2", "candidate", "better", "version", "1", "passed"] in rows
    cli.main(["review", "champion"])
    assert "tiny version 1 is the champion; the gate is passed" in capsys.readouterr().out  # as the list says


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light"), (390, "dark")])
def test_the_page_fits_can_be_read_and_says_nothing_on_the_console(
    project: Project, browser: Browser, width: int, scheme: Literal["light", "dark"]
) -> None:
    page_file = project.root / ".pix2pipe/review/tiny_v2/index.html"
    if not page_file.exists():
        cli.main(["review", "2"])
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if request.url.startswith("http") else None)
    page.goto(page_file.as_uri())
    assert page.locator("h1").inner_text() == "tiny version 2"
    assert page.locator(".verdict").inner_text() == "the gate is passed"
    assert page.locator("figure img").count() == 3 * 4
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    assert page.evaluate("[...document.images].every(image => image.naturalWidth === 32)")
    too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert too_wide == 0
    assert (overflowing(page), faint(page)) == ([], [])
    for table in page.locator(".scroll").all():  # nor is there anything to scroll to
        assert table.evaluate("one => one.scrollWidth - one.clientWidth") == 0
    shown = page.locator(".figures tbody tr").first.inner_text()
    assert all(text in shown for text in ("FID", "32 (28.9 to 35)", "128", "160"))
    assert said == []
    page.close()


def test_what_is_refused_is_one_line(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in (
        (["promote", "9", "--by", "Bo", "--why", "x"], "tiny has no version 9; there are 2 @candidate, 1 @champion"),
        (["promote", "2", "--by", "", "--why", "x"], "--by is empty"),
        (["review", "--model", "other"], "the registry has no model other"),
        (["rollback", "1", "--by", "Bo", "--why", "x"], "there is no champion to go back to"),
    ):
        with pytest.raises(SystemExit) as caught:
            cli.main(arguments)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)


def test_other_test_samples_are_no_pictures_and_a_verdict_all_the_same(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shards = project.root / "data/shards"
    shards.rename(project.root / "data/away")
    try:
        cli.main(["review", "2"])
    finally:
        (project.root / "data/away").rename(shards)
    out = capsys.readouterr().out
    assert "better than version 1" in out
    assert "pictures: none: data/shards" in out


def test_promoted_and_rolled_back(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["review", "2"])
    cli.main(["promote", "2", "--by", "Bo", "--why", "clearer"])
    assert "tiny version 2 is the champion, in place of version 1; record 2: better" in capsys.readouterr().out
    cli.main(["rollback", "2", "--by", "Bo", "--why", "streaks"])
    assert "tiny version 1 is the champion, in place of version 2; record 3: rolled back" in capsys.readouterr().out
    assert project.champion() == 1
