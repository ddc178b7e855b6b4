"""Where an archive under test has its files, on disk or in a store, and a look at them past the archive."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import obstore
import pytest
from obstore.store import S3Store

from storage.archive.disk import Disk
from storage.archive.s3 import S3, Access
from tests.stores.moto import moto_server, new_bucket
from tests.stores.stand_in import BUCKET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from storage.archive.store import Store
    from tests.stores.stand_in import StandIn

PREFIX = "covers/archive"


class Place(Protocol):
    """Where an archive's files are."""

    def store(self) -> Store:
        """Return what an archive uses; each call stands for another process."""

    def names(self) -> set[str]:
        """Return the last parts of the names of all that is there."""

    def read(self, name: str) -> bytes:
        """Return what is there under a name."""

    def write(self, name: str, data: bytes) -> None:
        """Put something there."""

    def remove(self, name: str) -> None:
        """Remove something."""


@dataclass
class OnDisk:
    """A directory."""

    directory: Path

    def store(self) -> Store:
        """Return what an archive uses."""
        return Disk(self.directory)

    def names(self) -> set[str]:
        """Return the last parts of the names of all that is there."""
        return {path.name for path in self.directory.rglob("*") if path.is_file()}

    def path(self, name: str) -> Path:
        """Return where something lies."""
        return self.directory / name[:2] / name

    def read(self, name: str) -> bytes:
        """Return what is there under a name."""
        return self.path(name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Put something there."""
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_bytes(data)

    def remove(self, name: str) -> None:
        """Remove something."""
        self.path(name).unlink()


@dataclass
class InStore:
    """A prefix of a bucket."""

    url: str
    bucket: str
    raw: S3Store = field(init=False)

    def __post_init__(self) -> None:
        self.raw = S3Store(
            self.bucket,
            config={
                "endpoint": self.url,
                "region": "us-east-1",
                "access_key_id": "AKIATESTS",
                "secret_access_key": "a-secret-of-nobody",
            },
            client_options={"allow_http": True},
        )

    @property
    def access(self) -> Access:
        """Return what an archive needs to know."""
        return Access(self.bucket, PREFIX, self.url, "us-east-1", "AKIATESTS", "a-secret-of-nobody")

    def store(self) -> Store:
        """Return what an archive uses."""
        return S3(self.access)

    def names(self) -> set[str]:
        """Return the last parts of the keys of all that is there."""
        return {entry["path"].rpartition("/")[2] for entries in obstore.list(self.raw) for entry in entries}

    def key(self, name: str) -> str:
        """Return the key of something."""
        return f"{PREFIX}/{name[:2]}/{name}"

    def read(self, name: str) -> bytes:
        """Return what is there under a name."""
        return bytes(obstore.get(self.raw, self.key(name)).bytes())

    def write(self, name: str, data: bytes) -> None:
        """Put something there."""
        obstore.put(self.raw, self.key(name), data)

    def remove(self, name: str) -> None:
        """Remove something."""
        obstore.delete(self.raw, self.key(name))


@dataclass
class Standing:
    """The stand-in's bucket, looked at from within: it runs in the test's own event loop."""

    server: StandIn

    @property
    def access(self) -> Access:
        """Return what an archive needs to know."""
        return Access(BUCKET, PREFIX, self.server.url, "us-east-1", "AKIATESTS", "a-secret-of-nobody")

    def store(self) -> Store:
        """Return what an archive uses."""
        return S3(self.access)

    def names(self) -> set[str]:
        """Return the last parts of the keys of all that is there."""
        return {key.rpartition("/")[2] for key in self.server.objects}

    def read(self, name: str) -> bytes:
        """Return what is there under a name."""
        return self.server.objects[f"{PREFIX}/{name[:2]}/{name}"]

    def write(self, name: str, data: bytes) -> None:
        """Put something there."""
        self.server.objects[f"{PREFIX}/{name[:2]}/{name}"] = data

    def remove(self, name: str) -> None:
        """Remove something."""
        del self.server.objects[f"{PREFIX}/{name[:2]}/{name}"]


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """Run moto's server for all tests of this process and give its address."""
    with moto_server() as url:
        yield url


@pytest.fixture
def bucket(moto: str) -> InStore:
    """A bucket of one's own."""
    return InStore(moto, new_bucket(moto))


@pytest.fixture(params=["disk", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each kind of place in turn."""
    if request.param == "disk":
        return OnDisk(tmp_path / "media")
    found: InStore = request.getfixturevalue("bucket")
    return found
