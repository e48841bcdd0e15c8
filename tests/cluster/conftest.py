"""Two nodes of one cluster, for all tests that need them."""

from collections.abc import Iterator

import pytest

from tests.cluster.nodes import Nodes


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """A head and one more node, of two CPUs each; their disk is one but for the folder `foreign`."""
    with Nodes() as nodes:
        nodes.join_apart(tmp_path_factory.mktemp("foreign"))
        nodes.await_nodes(2)
        yield nodes
