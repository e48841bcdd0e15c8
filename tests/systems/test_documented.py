"""docs/systems.md: the system that it adds as an example trains, and every system has its row."""

import re
from pathlib import Path
from types import ModuleType
from typing import get_args

import torch

from components.systems import AnySystemConfig
from components.training import loop
from components.training.group import Group
from components.training.loop import fit
from tests.systems.test_every_system import run_of
from tests.training.helpers import weights_of

DOCS = Path(__file__).parents[2] / "docs"


def test_the_system_of_the_docs_trains(tiny_shards, tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "systems.md").read_text(encoding="utf-8"), re.DOTALL)
    my_paper = ModuleType("my_paper")
    exec(compile(code, "my_paper.py", "exec"), my_paper.__dict__)
    config = my_paper.MyPaperConfig()
    assert config.name == "my_paper"
    monkeypatch.setattr(loop, "build", lambda _, shape: my_paper.my_paper(config, shape))
    run = run_of("pix2pix", tiny_shards, tmp_path)
    fit(run, Group(), until=1)
    first = weights_of(run)
    fit(run, Group())
    last = weights_of(run)
    assert all(name.removeprefix("ema.").startswith("generator.") for name in last)
    assert any(not torch.equal(first[name], last[name]) for name in last if name.startswith("generator."))


def test_every_system_has_a_row():
    text = (DOCS / "systems.md").read_text(encoding="utf-8")
    table = text[text.index("| `system.name` |") :].partition("\n\n")[0]
    names = [config.model_fields["name"].default for config in get_args(AnySystemConfig)]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == sorted(names)
