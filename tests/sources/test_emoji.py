"""Emoji become samples: each in both styles, over white, and none in two splits."""

import io
import json
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from components.faults import Fault
from components.shards.config import ShardConfig
from components.shards.reader import Split
from components.shards.writer import write_shards
from components.sources.emoji import GROUPS, STYLES, read_list
from components.sources.emoji_cut import EmojiCut, open_emoji
from components.sources.npm import NpmPackage
from components.storage.files import write_json

CATEGORIES = ("Smileys & Emotion", "People & Body", "Animals & Nature", "Food & Drink", "Travel & Places")


def png(colour, alpha=255, side=64) -> bytes:
    """A square of one colour in the left half of a picture that is transparent elsewhere."""
    picture = np.zeros((side, side, 4), np.uint8)
    picture[:, : side // 2] = (*colour, alpha)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def raw(tmp_path):
    """What fetch leaves: 300 emoji in five groups, the first of each group with two skin tones; 7 and 8 are drawn
    alike in one style; and one patch of skin, which is no emoji."""
    folder, random = tmp_path / "raw/emoji", np.random.default_rng(0)
    listed, codes = [], []
    for number in range(300):
        code = f"{number:04x}"
        entry = {"image": f"{code}.png", "category": CATEGORIES[number % 5]}
        codes.append(code)
        if number < 5:
            tones = [f"{code}-1f3f{tone}" for tone in "bc"]
            entry["skin_variations"] = {tone: {"image": f"{tone}.png"} for tone in tones}
            codes += tones
        listed.append(entry)
    listed.append({"image": "1f3fb.png", "category": "Component"})
    folder.mkdir(parents=True)
    (folder / "emoji.json").write_text(json.dumps(listed), encoding="utf-8")
    for style in STYLES:
        drawn = {code: png(random.integers(0, 256, 3)) for code in [*codes, "1f3fb"]}
        if style == "twemoji":
            drawn["0008"] = drawn["0007"]
        with tarfile.open(folder / f"{style}.tar", "w") as tar:
            for code, data in drawn.items():
                info = tarfile.TarInfo(f"{code}.png")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    write_json(folder / "source.json", {"name": "emoji"})
    return tmp_path / "raw"


def places(source) -> dict[str, set[str]]:
    """The splits of each base emoji, 0007 and 0008 being one."""
    found: dict[str, set[str]] = {}
    for split, units in source.splits.items():
        for unit in units:
            base = "0007" if unit.emoji.base == "0008" else unit.emoji.base
            found.setdefault(base, set()).add(split)
    return found


def test_no_emoji_is_in_two_splits_nor_is_any_picture(raw):
    source = open_emoji(raw, EmojiCut(skin_tones=True))
    assert all(len(splits) == 1 for splits in places(source).values())
    assert len(places(source)) == 299
    keys = [unit.key for units in source.splits.values() for unit in units]
    assert len(keys) == len(set(keys)) == 2 * 310
    assert {key.rsplit("-", 1)[1] for key in keys} == set(STYLES)


def test_which_emoji_are_taken_is_a_param_and_moves_none_to_another_split(raw):
    everything, base, some = (
        {unit.key: split for split, units in open_emoji(raw, cut).splits.items() for unit in units}
        for cut in (EmojiCut(skin_tones=True), EmojiCut(), EmojiCut(groups=("smileys", "food")))
    )
    assert base == {key: split for key, split in everything.items() if "-1f3f" not in key}
    assert some == {key: split for key, split in base.items() if int(key[:4], 16) % 5 in (0, 3)}
    one = open_emoji(raw, EmojiCut(groups=("people",)))
    assert set(one.domains) == {"picture", "style"}  # a category of one class would say nothing
    assert set(one.read(one.splits["train"][0])) == {"picture", "style"}


def test_code_points_tell_the_look(raw):
    assert "look" not in open_emoji(raw, EmojiCut()).domains
    source = open_emoji(raw, EmojiCut(skin_tones=True))
    assert source.domains["look"].classes == ("woman", "man", "light", "medium", "dark")
    units = {unit.key: unit for each in source.splits.values() for unit in each}
    assert source.read(units["0001-noto"])["look"].tolist() == [0, 0, 0, 0, 0]
    assert source.read(units["0001-1f3fc-twemoji"])["look"].tolist() == [0, 0, 1, 0, 0]
    for code, look in (
        ("1f469-1f3ff-200d-1f33e", [1, 0, 0, 0, 1]),  # a woman farmer
        ("1f3c3-1f3fd-200d-2642-fe0f", [0, 1, 0, 1, 0]),  # a man running
        ("1f468-200d-1f469-200d-1f466", [1, 1, 0, 0, 0]),  # a family
    ):
        like = units["0001-noto"]
        emoji = replace(like.emoji, code=code)
        files = {style: {code: source.files[style]["0001"]} for style in STYLES}
        found = replace(source, files=files).read(replace(like, emoji=emoji))
        assert found["look"].tolist() == look


def test_a_sample_is_one_emoji_in_one_style_over_white(raw, tmp_path):
    source = open_emoji(raw, EmojiCut(image_size=32))
    write_shards(source, tmp_path / "shards", ShardConfig(samples_per_shard=64, num_workers=1))
    train = Split(tmp_path / "shards", "train")
    files = source.files
    for i in (0, 1, len(train) - 1):
        key, sample = train.read(i)
        code, style = key.rsplit("-", 1)
        colour = np.array(Image.open(io.BytesIO(files[style][code])))[0, 0, :3]
        assert (sample["picture"][:, 20:] == 255).all()  # what is transparent, though its colour is black
        assert (sample["picture"][:, :12] == colour).all()
        assert STYLES[int(sample["style"])] == style
        assert GROUPS[int(sample["group"])] == GROUPS[int(code, 16) % 5]
    assert train.domains["style"].in_key
    assert not train.domains["group"].in_key


def test_half_transparent_is_half_white(raw):
    source = open_emoji(raw, EmojiCut())
    unit = source.splits["train"][0]
    source.files[unit.style][unit.emoji.code] = png((0, 0, 0), alpha=128)
    assert source.read(unit)["picture"][0, 0].tolist() == [127, 127, 127]


def test_what_fetch_has_left_is_checked(raw, tmp_path):
    with pytest.raises(Fault, match=r"emoji\.json: not found; run dvc repro fetch"):
        open_emoji(tmp_path / "elsewhere", EmojiCut())
    (raw / "emoji/noto.tar").write_bytes(b"no tar")
    with pytest.raises(Fault, match=r"noto\.tar: not a tar of pictures .*run dvc repro -f fetch"):
        open_emoji(raw, EmojiCut())
    with tarfile.open(raw / "emoji/noto.tar", "w"):
        pass
    with pytest.raises(Fault, match=r"noto has no 0000\.png; run dvc repro -f fetch"):
        open_emoji(raw, EmojiCut())
    (raw / "emoji/emoji.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(Fault, match=r"emoji\.json: not a list of emoji"):
        read_list(raw)


def test_a_folder_of_an_npm_package_is_read_in_one_pass(tmp_path):
    archive = tmp_path / "tiny.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("package/img/64/a.png", "package/img/64/b.png", "package/img/640/c.png", "package/readme"):
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    package = NpmPackage("tiny", "1.0.0", "0" * 64)
    found = {name: data.read() for name, data in package.members(archive, "img/64/")}
    assert found == {f"img/64/{name}.png": f"package/img/64/{name}.png".encode() for name in "ab"}
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(Fault, match=r"tiny\.tgz: cannot read img/64/"):
        list(package.members(archive, "img/64/"))
