"""The report is one page that needs nothing else, shows what was measured, and survives hostile names."""

import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from components.faults import Fault
from components.pages.config import ReportConfig
from components.pages.examples import choose, over_time
from components.pages.report import Inputs, build_report
from components.search.config import TuneConfig
from components.search.outcome import write_outcome
from components.shards.reader import Split
from components.tasks.encoding import render
from tests.conftest import TO_PHOTO
from tests.pages.demo.served import overflowing
from tests.pages.looks import faint
from tests.stage_outputs import BOTH_WAYS, build_outputs, rewrite

HOSTILE = '<script>alert("x")</script>&'


class Page(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._style = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._style = tag == "style"

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def inputs(root: Path) -> Inputs:
    data, work = root / "data", root / ".pix2pipe"
    return Inputs(
        raw=data / "raw",
        shards=data / "shards",
        run=data / "runs",
        generated=data / "generated",
        metrics=data / "metrics",
        registered=data / "registered/version.json",
        tuned=data / "tune",
        timings=work / "timings",
        runs=work / "runs",
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_shards: Path) -> Path:
    return build_outputs(tmp_path_factory.mktemp("report"), tiny_shards)


@pytest.fixture(scope="module")
def html(project: Path) -> str:
    return build_report(inputs(project), ReportConfig(pictures=2))


def test_nothing_is_fetched(html: str) -> None:
    page = Page(html)
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith("data:"), (tag, value)
    assert not page.all("script")
    assert "url(" not in html
    assert "@import" not in html


def test_pictures_are_those_of_the_files(html: str, project: Path) -> None:
    shown = [image for image in Page(html).all("img") if "tiny_test" in str(image["alt"])]
    assert len(shown) == 3 * 3 * 2  # best, median, worst; two of each; source, generated and real
    assert all(image["alt"] for image in Page(html).all("img"))
    real = Split(project / "data/shards", "test")
    made = Split(project / "data/generated/labels_to_photo", "test")
    for image in shown:
        key = str(image["alt"]).split()[-1]
        for start, split in (("real", real), ("generated", made)):
            if str(image["alt"]).startswith(start):
                data = base64.b64decode(str(image["src"]).partition(",")[2])
                picture = np.asarray(Image.open(io.BytesIO(data)))
                assert np.array_equal(picture, split.picture(split.keys.index(key), "photo"))


def test_the_page_says_what_was_measured(html: str) -> None:
    text = Page(html).text
    for words in ("pix2pix: labels to photo", "24 train, 8 val, 8 test", "160", "144 to 176", "Mean colour"):
        assert words in text, words
    for name in ("generator.l1", "discriminator.real", "step 40", "tiny version 1 (candidate)", "81 images/s"):
        assert name in text or name.replace("81", "80") in text, name
    assert "ef" * 6 in text


def test_groups_are_made_by_the_figure_alone(project: Path) -> None:
    import pyarrow.parquet as pq

    data = project / "data"
    task, table = TO_PHOTO, data / "metrics/per_sample/labels_to_photo.parquet"
    generated = data / "generated/labels_to_photo"
    rows = pq.read_table(table).to_pydict()
    for name, reverse in (("l1", False), ("psnr", True)):
        used, groups = choose(data / "shards", generated, table, task, name, 2)
        order = [rows["key"][i] for i in np.argsort(rows[name])]
        order = order[::-1] if reverse else order
        assert used == name
        assert [e.key for e in groups[0].examples] == order[:2]
        assert [e.key for e in groups[1].examples] == order[3:5]
        assert [e.key for e in groups[2].examples] == order[-2:]
    assert choose(data / "shards", generated, table, task, None, 1)[0] == "l1"
    with pytest.raises(Fault, match=r"report\.order_by: .* has no metric beauty; it has .*psnr"):
        choose(data / "shards", generated, table, task, "beauty", 1)


def test_a_doubt_stands_beside_its_figure(project: Path, tmp_path: Path) -> None:
    root = shutil.copytree(project, tmp_path / "copy")
    file = root / "data/metrics/rows.json"
    measured = json.loads(file.read_text())["labels_to_photo"]
    measured["rows"]["floor"]["fid_efficientnet_lite0"]["note"] = "few: 8 images"
    rewrite(file, {"labels_to_photo": measured})
    assert build_report(inputs(root), ReportConfig(pictures=2)).count("few: 8 images") == 1


def headings(html: str) -> list[str]:
    found = re.findall(r'<h2 id="([^"]+)">(.*?)</h2>', html)
    assert len({name for name, _ in found}) == len(found)
    return [text for _, text in found]


def test_one_direction_has_plain_headings(html: str) -> None:
    assert headings(html)[:3] == ["How good it is", "Test pictures", "How the pictures came about"]
    assert "labels to photo and back" not in html


@pytest.fixture(scope="module")
def both_ways(tmp_path_factory: pytest.TempPathFactory, tiny_shards: Path) -> Path:
    return build_outputs(tmp_path_factory.mktemp("both"), tiny_shards, BOTH_WAYS)


def test_each_direction_has_its_own_figures_and_pictures(both_ways: Path) -> None:
    html = build_report(inputs(both_ways), ReportConfig(pictures=1, grids=2))
    parts = ["How good it is", "Test pictures", "How the pictures came about"]
    there, back = "labels to photo", "photo to labels"
    assert headings(html)[:6] == [f"{part}: {way}" for way in (there, back) for part in parts]
    text = " ".join(Page(html).text.split())
    assert "cyclegan: labels to photo and back" in text
    assert "24 labels and 24 photo pictures, unpaired, of 32" in text
    assert "tiny version 1 (candidate), tiny version 2 (candidate)" in text
    assert "ef" * 6 in text
    assert "12" * 6 in text
    images = {str(image["alt"]): str(image["src"]) for image in Page(html).all("img")}
    for direction, source in (("labels_to_photo", "labels"), ("photo_to_labels", "photo")):
        target = direction.rpartition("_")[2]
        made = Split(both_ways / "data/generated" / direction, "test")
        shown = [alt for alt in images if alt.startswith(f"generated {target} of")]
        assert len(shown) == 3
        key = shown[0].split()[-1]
        assert any(alt.endswith(f"source ({source}) of {key}") for alt in images)
        data = base64.b64decode(images[shown[0]].partition(",")[2])
        expected = render(made.domains[target], made.picture(made.keys.index(key), target)[None])[0]
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), expected)


def test_a_direction_shows_its_own_rows_of_the_grids(both_ways: Path) -> None:
    samples = both_ways / "data/runs/samples"
    last = np.asarray(Image.open(samples / "step_000040.png"))
    for place in (0, 1):
        rows = over_time(samples, 2, ("source", "made", "real"), place, 2)
        assert [row.label for row in rows] == ["source", "step 10", "step 40", "real"]
        for row, at in ((rows[0], 0), (rows[2], 1), (rows[3], 2)):
            data = base64.b64decode(row.picture.partition(",")[2])
            strip = last[32 * (3 * place + at) : 32 * (3 * place + at + 1)]
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), strip)


def test_a_figure_to_order_by_need_not_be_in_every_direction(both_ways: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    root = shutil.copytree(both_ways, tmp_path / "copy")
    table = root / "data/metrics/per_sample/photo_to_labels.parquet"
    pq.write_table(pq.read_table(table, columns=["key", "l1"]), table)
    text = Page(build_report(inputs(root), ReportConfig(pictures=1, order_by="psnr"))).text
    assert "Chosen by PSNR alone" in text
    assert "Chosen by L1 alone" in text
    with pytest.raises(Fault, match="has no metric beauty"):
        build_report(inputs(root), ReportConfig(order_by="beauty"))


def test_without_pairs_samples_are_spread_and_have_no_true_picture(
    tmp_path_factory: pytest.TempPathFactory, tiny_sides: Path
) -> None:
    root = build_outputs(tmp_path_factory.mktemp("sides"), tiny_sides, BOTH_WAYS)
    html = build_report(inputs(root), ReportConfig(pictures=1, grids=2))
    page = Page(html)
    text = " ".join(page.text.split())
    assert "20 labels and 14 photo pictures, unpaired, of 32" in text
    assert "6 labels and 9 photo test pictures they have never seen" in text
    assert "20 train/labels, 14 train/photo" in text
    assert text.count("Spread evenly over all test samples") == 2
    alts = [str(image["alt"]) for image in page.all("img")]
    assert [alt.split()[-1] for alt in alts if alt.startswith("generated photo")] == [
        f"test_labels_{i:02d}" for i in (0, 2, 5)
    ]
    assert [alt.split()[-1] for alt in alts if alt.startswith("generated labels")] == [
        f"test_photo_{i:02d}" for i in (0, 4, 8)
    ]
    assert not any(alt.startswith("real") for alt in alts)
    with pytest.raises(Fault, match="has no metric l1; it has none"):
        build_report(inputs(root), ReportConfig(order_by="l1"))


def test_times_and_their_absence(html: str, project: Path, tmp_path: Path) -> None:
    text = re.sub(r"\s+", " ", Page(html).text)
    # 72 s of stages; gaps between them are longer than DVC ever takes and are not counted; 5 s of Ray
    assert "Everything that was run here took 1 min 12 s, of which 7 %" in text
    assert "judge cached" in text
    nowhere = Inputs(**(vars(inputs(project)) | {"timings": tmp_path, "runs": tmp_path}))
    text = re.sub(r"\s+", " ", Page(build_report(nowhere, ReportConfig())).text)
    assert "every stage came from the cache" in text
    assert "train cached" in text
    assert "not timed here" in text


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, tiny_shards: Path) -> Path:
    """A project whose names are markup, everywhere a name may be what people wish."""
    root = build_outputs(tmp_path_factory.mktemp("hostile"), tiny_shards)
    metrics = root / "data/metrics/rows.json"
    metrics.write_text(metrics.read_text().replace('"forest"', '"<script>alert(1)</script>&"'))
    rewrite(root / "data/generated/labels_to_photo/generator.json", {"source": _source(root), "checkpoint": HOSTILE})
    rewrite(root / "data/runs/run.json", {"git_commit": HOSTILE})
    version = {"model": HOSTILE, "alias": "candidate", "version": 1}
    rewrite(root / "data/registered/version.json", {"versions": {"labels_to_photo": version}})
    (root / "data/raw/tiny").mkdir()
    (root / "data/raw/source.json").rename(root / "data/raw/tiny/source.json")
    rewrite(root / "data/raw/tiny/source.json", {"licence": HOSTILE, "files": {HOSTILE: {"title": HOSTILE}}})
    curves = root / "data/runs/curves.csv"
    curves.write_text(curves.read_text().replace("generator.l1", "<script>l1</script>"))
    return root


def _source(root: Path) -> dict[str, object]:
    domain = Split(root / "data/shards", "test").domains["labels"].model_dump(mode="json")
    return domain | {"classes": [HOSTILE, *domain["classes"][1:]]}


def test_names_are_text_and_never_markup(hostile: Path) -> None:
    html = build_report(inputs(hostile), ReportConfig())
    page = Page(html)
    assert not page.all("script")
    assert "<script" not in html
    assert page.text.count(HOSTILE) >= 5


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1000, "light"), (1280, "dark")])
def test_a_browser_has_nothing_to_say_and_nothing_to_scroll_sideways(
    html: str, tmp_path: Path, width: int, scheme: Literal["light", "dark"], browser: Browser
) -> None:
    (tmp_path / "page.html").write_text(html)
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())
    too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    cut, pale = overflowing(page), faint(page)
    empty = page.locator("td.mine").filter(has_text=re.compile(r"^\W*$")).count()
    text = page.inner_text("body")
    page.close()
    assert too_wide == 0
    assert not cut
    assert not pale
    assert empty == 0
    assert not re.search(r"^\s*,| ,", text, re.MULTILINE)
    assert not said


def test_the_search_is_a_table_and_two_pictures(html: str, project: Path) -> None:
    page = Page(html)
    text = " ".join(page.text.split())
    assert "5 trials, of which pruning ended 2 early and 1 failed" in text
    assert "0.470 against 0.300 of the params as they stood" in text
    assert "step 3: generator.l1 is not finite" in text
    plots = html.split('<figure class="plot"')[1:]
    assert len(plots) == 2
    # A line a measured trial (the failed one has none) beside the axes; the winner in the page's own accent.
    for plot in plots:
        svg = plot[: plot.index("</svg>")]
        assert svg.count("var(--accent)") >= 1
        assert svg.count("var(--other)") >= 2
        assert "#0102" not in svg
    for path in ("system.lambda_l1", "system.adversarial"):
        assert path in plots[0]


def test_without_a_search_the_page_has_none(project: Path, tmp_path: Path) -> None:
    write_outcome(tmp_path, TuneConfig(), [], None, {})
    html = build_report(Inputs(**(vars(inputs(project)) | {"tuned": tmp_path})), ReportConfig())
    assert "The search before the training" not in html
