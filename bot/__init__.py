"""The running program."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed


def version() -> str:
    """Return the version of the program that runs."""
    try:
        return installed("coverbot")
    except PackageNotFoundError:
        return "(not installed)"
