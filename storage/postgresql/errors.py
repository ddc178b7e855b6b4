"""What PostgreSQL and the way to it say, as errors of SQLAlchemy's and in words for an owner."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from storage.database import DatabaseError
from storage.postgresql.addresses import show

UNREACHABLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What connecting raises, and a connection that ends within a question; a time that is over is an `OSError`."""

_ITS_OWN_FAULT = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, asyncpg.SyntaxOrAccessError)
"""What a statement can never do, however often it is tried."""

_REASONS: list[tuple[tuple[type[Exception], ...], str]] = [
    (
        (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError),
        "the server refuses the user or the password",
    ),
    ((asyncpg.InvalidCatalogNameError,), "the server has no database of that name; create it"),
    (
        (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidSchemaNameError),
        "its user may not make tables in it; make that user its owner",
    ),
    ((asyncpg.ReadOnlySQLTransactionError,), "it may only be read; is the server a standby?"),
    ((asyncpg.TooManyConnectionsError,), "the server takes no more connections"),
    ((asyncpg.CannotConnectNowError,), "the server is starting or stopping; try again in a while"),
    ((asyncpg.DiskFullError,), "there is no room left on its disk"),
    ((TimeoutError,), "the server does not answer"),
]

_UNKNOWN = re.compile(r'unrecognized configuration parameter "(\w{1,60})"')


def explain(url: str, error: BaseException) -> DatabaseError:
    """Return an error in words for the owner."""
    cause = cause_of(error)
    reason = next((words for kinds, words in _REASONS if isinstance(cause, kinds)), None)
    if reason is None and isinstance(cause, OSError):
        reason = f"the server cannot be reached ({cause.strerror or cause})"
    if isinstance(cause, asyncpg.UndefinedObjectError) and (unknown := _UNKNOWN.search(str(cause))):
        reason = f"the server knows no {unknown[1]}; leave it out of the address"
    if reason is None:
        said = "; ".join(line.strip() for line in without_values(str(cause)).splitlines())
        reason = said if isinstance(cause, asyncpg.ClientConfigurationError) else f"{type(cause).__name__}: {said}"
    return DatabaseError(f"the database {show(url)} cannot be used: {reason}")


def cause_of(error: BaseException) -> BaseException:
    """Return what the driver or the operating system has raised below SQLAlchemy's errors."""
    while isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig.__cause__ or error.orig
    return error


def without_values(text: str) -> str:
    """Return what an error says without the values that it was about, tokens among them."""
    return re.sub(r"(for query argument \$\d+).*", r"\1", text.partition("\nDETAIL")[0], flags=re.DOTALL)


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Turn whatever is raised into SQLAlchemy's errors, as both databases have them.

    What is wrong with a statement stays what it is. Everything else is an `OperationalError`: the server, the way to it
    or a clash with others, so that another try may help.
    """
    try:
        yield
    except DBAPIError as error:
        _hide(error)
        if isinstance(cause_of(error), _ITS_OWN_FAULT):
            raise
        raise OperationalError(error.statement, None, error.orig or error) from error
    except (*UNREACHABLE, SQLAlchemyError) as error:
        raise OperationalError(doing, None, error) from error


def _hide(error: BaseException | None) -> None:
    """Take the values out of an error and of what has caused it, for all of it is going to be logged."""
    while error is not None:
        error.args = tuple(without_values(part) if isinstance(part, str) else part for part in error.args)
        if isinstance(error, asyncpg.PostgresError):
            error.detail = None
        error = error.__cause__ or error.__context__
