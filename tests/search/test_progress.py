"""The bar of a search."""

import pickle
import sys

from components.search.ledger import Ledger
from components.search.progress import SearchProgress


def test_it_can_be_written_down_whatever_stream_it_draws_on(tmp_path, monkeypatch):
    """Ray pickles what listens to a search, and refuses an open file that is not its own stderr."""
    with (tmp_path / "stderr").open("w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        with SearchProgress(Ledger(tmp_path / "trials"), 3, "kid") as progress:
            assert vars(pickle.loads(pickle.dumps(progress))) == {"_figure": "kid"}
