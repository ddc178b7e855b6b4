"""The archive's files in an S3-compatible store, each under its hash, shared by all processes.

The store is somebody else's machine: it may be slow, full, away, or have a proxy before it that answers in its place.
So every request has its time, after one that had none or met nobody the next ones are not even tried for some seconds,
and nothing is called lost or damaged for one answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Final, Literal

import obstore
from obstore import exceptions
from obstore.store import S3Store

from storage.archive.store import StoreError, StoreRefused

if TYPE_CHECKING:
    from obstore import Attributes

log = logging.getLogger(__name__)

ADDRESS_SECONDS = 600
"""How long a presigned address works."""

PART_BYTES = 5 * 1024 * 1024
"""From which size on a file is sent in parts, and how large a part is: the least that stores take."""

_PIECE_BYTES = 1024 * 1024

ANSWER_SECONDS = 15.0
"""How long the store may say nothing. A part that is sent has to be there within it, too."""

LOOK_SECONDS = 5.0
"""How long a look at the store may take, retries included."""

TRANSFER_SECONDS = 300.0
"""How long a file may take, retries included."""

REST_SECONDS = 10.0
"""For how long nothing is asked of a store that did not answer."""

_TYPES = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
}
_HASH = re.compile(r"[0-9a-f]{64}")
_NOT_FOUND = (FileNotFoundError, exceptions.NotFoundError)
_REFUSED = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError, *_NOT_FOUND)
_NO_ACCESS, _NO_BUCKET = "access is refused", "there is no such bucket"
_ELSEWHERE = "the bucket is in another region, which AWS_REGION has to name"
_REFUSALS = {
    "AccessDenied": _NO_ACCESS,
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "ExpiredToken": _NO_ACCESS,
    "InvalidAccessKeyId": _NO_ACCESS,
    "InvalidBucketName": _NO_BUCKET,
    "InvalidToken": _NO_ACCESS,
    "NoSuchBucket": _NO_BUCKET,
    "PermanentRedirect": _ELSEWHERE,
    "RequestTimeTooSkewed": "this machine's clock is wrong",
    "SignatureDoesNotMatch": _NO_ACCESS,
}
"""What the owner has to mend, in the words of the protocol."""

_REFUSING, _BUSY = (401, 403), 429
_KINDS = {"Timeout": "it did not answer in time", "Connect": "nobody answers there", "Request": "the connection broke"}


@dataclass(frozen=True, slots=True)
class Access:
    """Where a bucket is and who may use it; what is None, the machine's own role or the usual default says."""

    bucket: str
    prefix: str
    endpoint: str | None = None
    region: str | None = None
    key_id: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


class S3:
    """A prefix of a bucket: the archive's `Store` of any number of processes."""

    is_shared: Final = True

    def __init__(self, access: Access) -> None:
        self._prefix = f"{access.prefix}/" if access.prefix else ""
        config = {
            "region": access.region or "us-east-1",
            "endpoint": access.endpoint,
            "access_key_id": access.key_id,
            "secret_access_key": access.secret_key,
            "session_token": access.token,
        }
        self._bucket = S3Store(
            access.bucket,
            config={name: value for name, value in config.items() if value is not None},  # type: ignore[arg-type]  # a dictionary with fixed keys
            client_options={
                "allow_http": (access.endpoint or "").startswith("http://"),
                "connect_timeout": timedelta(seconds=LOOK_SECONDS / 2),
                "read_timeout": timedelta(seconds=ANSWER_SECONDS),
                "timeout": timedelta(seconds=TRANSFER_SECONDS),
            },
            retry_config={
                "max_retries": 2,
                "retry_timeout": timedelta(seconds=ANSWER_SECONDS),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=200),
                    "max_backoff": timedelta(seconds=2),
                    "base": 2,
                },
            },
        )
        self._rests_until = 0.0
        self._rests_for = ""

    async def open(self) -> None:
        """Look whether the store lets itself be used; one that does not answer may do so later."""
        try:
            async with self._asked(LOOK_SECONDS):
                await self._anything()
        except StoreRefused:
            raise
        except StoreError as error:
            log.warning("the archive's store cannot be reached yet, and is tried again: %s", error)

    async def put(self, source: Path, sha256: str, kind: str) -> None:
        """Send a file, unless it is there; a large one in parts, so that no more than one of them is in memory."""
        is_large = (await asyncio.to_thread(source.stat)).st_size > PART_BYTES
        async with self._asked(TRANSFER_SECONDS):
            if is_large or not await self._create(source, sha256, kind):
                await obstore.put_async(
                    self._bucket,
                    self._key(sha256),
                    source,
                    attributes=_described(kind),
                    use_multipart=is_large,
                    chunk_size=PART_BYTES,
                    max_concurrency=1,
                )

    async def get(self, sha256: str, destination: Path) -> bool:
        """Fetch a file to `destination`; False where the store itself says that it has another one, or none."""
        part = destination.with_name(f".{uuid.uuid4().hex}.part")
        try:
            async with self._asked(TRANSFER_SECONDS):
                first = await self._read(sha256, part)
                found = first if first is None or first.sha256 == sha256 else await self._read(sha256, part)
                if found is not None and found.sha256 == sha256:
                    await asyncio.to_thread(part.replace, destination)
                    return True
                # Whoever else answers in the store's place does not know what the store lists.
                if found != first or not await self._is_listed(sha256, found):
                    raise StoreError("its answers contradict each other; is there a proxy before it?")
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)
        return False

    async def remove(self, sha256: str) -> None:
        """Remove a file, if it is there."""
        async with self._asked(LOOK_SECONDS):
            await self._delete(self._key(sha256))

    async def names(self) -> AsyncIterator[list[str]]:
        """Yield the names of all files, some at a time."""
        listing = obstore.list(self._bucket, self._prefix or None, chunk_size=1000)
        while True:
            async with self._asked(LOOK_SECONDS):
                entries = await anext(listing, None)
            if entries is None:
                return
            # Nothing but what this class has put there: an owner may have other things under the same prefix.
            names = [PurePosixPath(entry["path"]).name for entry in entries if self._is_file(entry["path"])]
            if names:
                yield names

    async def sweep(self, older_than: float) -> None:
        """Do nothing: what is sent in parts is no file before it is whole, and a rule of the bucket removes parts."""

    def free(self) -> None:
        """Return nothing: a store tells nobody how much room it has."""

    async def address(self, sha256: str, method: Literal["GET", "HEAD"]) -> str | None:
        """Return a presigned address of a file, None where it is not there."""
        async with self._asked(LOOK_SECONDS):
            try:
                await obstore.head_async(self._bucket, self._key(sha256))
            except _NOT_FOUND:
                return None
            lives = timedelta(seconds=ADDRESS_SECONDS)
            return await obstore.sign_async(self._bucket, method, self._key(sha256), lives)

    async def probe(self) -> None:
        """Put something there, read it and remove it again; raises `StoreError` where that cannot be done."""
        key, data = f"{self._prefix}.probe-{uuid.uuid4().hex}", uuid.uuid4().bytes
        async with self._asked(ANSWER_SECONDS):
            await self._anything()
            await obstore.put_async(self._bucket, key, data)
            try:
                answer = await obstore.get_async(self._bucket, key)
                found = bytes(await answer.bytes_async())
            finally:
                await self._delete(key)
        if found != data:
            raise StoreError("it gives back something else than was put there")

    async def close(self) -> None:
        """Wait for nothing more."""

    async def _create(self, source: Path, sha256: str, kind: str) -> bool:
        """Send a file unless it is there; False where another one has its name, or the store knows no conditions."""
        try:
            await obstore.put_async(self._bucket, self._key(sha256), source, attributes=_described(kind), mode="create")
        except exceptions.AlreadyExistsError:
            found = await self._read(sha256, None)
            return found is not None and found.sha256 == sha256
        except exceptions.BaseError as error:
            if _cause(error) != "NotImplemented":
                raise
            return False
        return True

    async def _read(self, sha256: str, destination: Path | None) -> _Read | None:
        """Read a file, to `destination` if there is one, and return what was read; None where there is none."""
        try:
            answer = await obstore.get_async(self._bucket, self._key(sha256))
        except _NOT_FOUND:
            return None
        e_tag = answer.meta["e_tag"]
        found = hashlib.sha256()
        with open(destination or os.devnull, "wb") as file:  # noqa: ASYNC230, PTH123 (it waits for nothing)
            async for piece in answer.stream(min_chunk_size=_PIECE_BYTES):
                await asyncio.to_thread(_add, bytes(piece), found, file)
        return _Read(found.hexdigest(), e_tag)

    async def _is_listed(self, sha256: str, found: _Read | None) -> bool:
        """Tell whether the store lists a file as it was read, or as not there where it was not.

        Raises `StoreError` where nothing is there at all.
        """
        key = self._key(sha256)
        listed = None
        async for entries in obstore.list(self._bucket, key.rpartition("/")[0]):
            listed = next((entry for entry in entries if entry["path"] == key), listed)
        if found is None and listed is None and not await self._anything():
            raise StoreError("it has none of the archive's files; does ARCHIVE_URL name the right bucket and prefix?")
        return found is None if listed is None else found is not None and found.e_tag == listed["e_tag"]

    async def _anything(self) -> bool:
        """Tell whether there is anything at all."""
        return bool(await anext(obstore.list(self._bucket, self._prefix or None, chunk_size=1), None))

    async def _delete(self, key: str) -> None:
        with suppress(*_NOT_FOUND):  # which some stores say
            await obstore.delete_async(self._bucket, key)

    @asynccontextmanager
    async def _asked(self, seconds: float) -> AsyncIterator[None]:
        """Turn whatever goes wrong into a `StoreError`, and let the store rest if it does not answer or cannot."""
        if asyncio.get_running_loop().time() < self._rests_until:
            raise StoreError(f"it is left alone for some seconds; a moment ago: {self._rests_for}")
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise self._rest(f"it took longer than {seconds:g} s") from None
        except (exceptions.BaseError, FileNotFoundError) as error:
            if isinstance(error, FileNotFoundError) and error.errno is not None:  # a file of ours
                raise
            cause, status = _cause(error), _status(error)
            if cause in _REFUSALS or status in _REFUSING or isinstance(error, _REFUSED):
                words = _REFUSALS.get(cause, _NO_BUCKET if isinstance(error, _NOT_FOUND) else _NO_ACCESS)
                raise StoreRefused(f"{words} ({cause})") from None
            if status is not None and status < 500 and status != _BUSY:
                raise StoreError(cause) from None
            raise self._rest(cause) from None

    def _rest(self, reason: str) -> StoreError:
        self._rests_until = asyncio.get_running_loop().time() + REST_SECONDS
        self._rests_for = reason
        return StoreError(reason)

    def _key(self, sha256: str) -> str:
        return f"{self._prefix}{sha256[:2]}/{sha256}"

    def _is_file(self, key: str) -> bool:
        name = key.rpartition("/")[2]
        return _HASH.fullmatch(name) is not None and key == self._key(name)


def _described(kind: str) -> Attributes:
    """Say what a browser needs to know of a file that is called by its hash."""
    media_type = _TYPES.get(kind, "application/octet-stream")
    name = "song" if media_type.startswith("audio/") else "cover"
    return {"Content-Type": media_type, "Content-Disposition": f'inline; filename="{name}.{kind}"'}


@dataclass(frozen=True, slots=True)
class _Read:
    """What a file's bytes were, and what the store calls them."""

    sha256: str
    e_tag: str | None


def _add(piece: bytes, to: hashlib._Hash, file: BinaryIO) -> None:
    to.update(piece)
    file.write(piece)


def _cause(error: Exception) -> str:
    """Say in a few words what the library says in many lines, which hold addresses and the key's name."""
    text = str(error)
    if "redirect without LOCATION" in text:  # the bucket is in another region
        return "PermanentRedirect"
    for pattern in (r"<Code>(\w{1,60})</Code>", r"status(?: code)?: (\d{3})"):
        if (found := re.search(pattern, text)) is not None:
            return found[1]
    kind = re.search(r"kind: (\w{1,40})", text)
    return _KINDS.get(kind[1] if kind else "", "no usable answer")


def _status(error: Exception) -> int | None:
    """Return with which HTTP status the store has answered, None where it has not."""
    found = re.search(r"status code: (\d{3})", str(error))
    return None if found is None else int(found[1])
