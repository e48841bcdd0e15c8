"""What changes the key of a run, and what does not."""

import ast
import shutil
from pathlib import Path

import pytest

from components.training.code import code_sha256, import_closure

ROOT = Path(__file__).parents[2]
SYSTEMS = ("components.systems.translation.pix2pix", "components.systems.translation.bigan", "components.systems.fcn8s")


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A copy of the code that may be changed."""
    shutil.copytree(ROOT / "components", tmp_path / "components", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def keys(root: Path) -> dict[str, str]:
    code_sha256.cache_clear()
    return {system: code_sha256(system, root) for system in SYSTEMS}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_new_system_changes_no_other(code):
    before = keys(code)
    assert len(set(before.values())) == len(SYSTEMS)
    systems = code / "components/systems"
    shutil.copy(systems / "translation/bigan.py", systems / "translation/other.py")
    edit(
        systems / "__init__.py",
        "import Shape, System\n",
        "import Shape, System\nfrom components.systems.translation.other import BiGANConfig as Other\n",
    )
    assert keys(code) == before


def test_sentences_change_nothing_and_numbers_do(code):
    before = keys(code)
    changed = 0
    for path in import_closure(["components.training.loop", *SYSTEMS], code).values():
        text = path.read_text()
        tree = ast.parse(text)
        doc = ast.get_docstring(tree, clean=False)
        if doc:
            text = text.replace(doc, "Other words.\n\nIn two lines, with a # in them.", 1)
        path.write_text(text + "\n\n# A comment.\n")
        changed += 1
    assert changed > 30
    assert keys(code) == before
    edit(code / "components/networks/unet.py", "LeakyReLU(0.2)", "LeakyReLU(0.25)")
    one = keys(code)
    assert {name for name in SYSTEMS if one[name] != before[name]} == {*SYSTEMS} - {"components.systems.fcn8s"}
    edit(code / "components/training/ema.py", "(10 + step)", "(11 + step)")
    assert all(keys(code)[name] != one[name] for name in SYSTEMS)


def test_every_module_of_the_closure_is_there_and_the_registry_is_not():
    closure = import_closure(["components.training.loop", "components.systems.translation.pix2pix"], ROOT)
    assert {
        "components.systems.translation.pix2pix",
        "components.shards.order",
        "components.networks.unet",
    } <= closure.keys()
    assert (
        not {"components.systems", "components.systems.translation.bigan", "components.objectives.replay_pool"}
        & closure.keys()
    )
