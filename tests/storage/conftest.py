"""A bucket for each test, behind a proxy that can fail."""

import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from upath import UPath

from components.storage.home import located
from tests.storage.s3 import BUCKET, Proxy, credentials, forget_clients, moto_server, proxied


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Proxy]:
    """moto's server behind the proxy; the environment leads every client of this process there."""
    with moto_server() as port, proxied(port) as proxy, pytest.MonkeyPatch.context() as patch:
        for name, value in (credentials() | {"AWS_ENDPOINT_URL": proxy.url}).items():
            patch.setenv(name, value)
        forget_clients()
        fsspec.filesystem("s3").mkdir(BUCKET)
        yield proxy
        forget_clients()


@pytest.fixture
def proxy(endpoint: Proxy) -> Iterator[Proxy]:
    """The proxy, with nothing asked and nothing wrong yet."""
    endpoint.clear()
    yield endpoint
    endpoint.clear()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this node."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PIX2PIPE_CACHE", str(folder))
    return folder


@pytest.fixture
def root(proxy: Proxy, cache: Path, request: pytest.FixtureRequest) -> UPath:
    """An empty place at s3:// for one test."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    place = located(f"s3://{BUCKET}/{name}-{os.getpid()}")
    assert isinstance(place, UPath)
    return place
