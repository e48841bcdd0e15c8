"""A fragment of params taken into a text: values and comments."""

from pathlib import Path

import yaml

from components.fragment import merge

FACADES = Path("configs/facades.yaml")


def test_merge_keeps_comments_and_replaces_named_sections():
    text = (
        "# head\nfetch:            # where from\n  name: earth\n\n# how it is cut\nshard:\n"
        "  max_bad: 3      # kept\n  cut:\n    name: earth\n    stride: 16\n  # about packing\n"
        "  samples_per_shard: 512  # old\n\n# last\nreport: {}\n"
    )
    merged = merge(text, FACADES.read_text(), "facades.yaml")
    values, fragment = yaml.safe_load(merged), yaml.safe_load(FACADES.read_text())
    assert values["fetch"] == fragment["fetch"]
    assert values["shard"] == {"max_bad": 3, **fragment["shard"]}
    assert values["report"] == {}
    for comment in ("# head", "# how it is cut", "# kept", "# about packing", "# last", "# labels -> photo"):
        assert comment in merged
    assert merge(merged, FACADES.read_text(), "again") == merged


def test_merge_adds_and_reindents():
    merged = merge("a:\n  b: 1\n\n# c\nc: 2\n", "a:\n    d:\n        e: [1,\n            2]\nf: x\n", "f")
    assert yaml.safe_load(merged) == {"a": {"b": 1, "d": {"e": [1, 2]}}, "c": 2, "f": "x"}
    assert "# c\nc: 2\n" in merged
