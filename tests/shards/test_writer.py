"""The writer: the same bytes whoever writes them, readable by the WebDataset library."""

from components.shards.reader import Split


def test_tiny_set_reads_back(tiny_shards):
    split = Split(tiny_shards, "train")
    assert len(split) == 24
    key, pictures = split.read(9)
    assert key == "tiny_train_009"
    assert pictures["labels"].shape == (32, 32)
    assert pictures["photo"].shape == (32, 32, 3)
