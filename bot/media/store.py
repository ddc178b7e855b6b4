"""Where the archive's files are, by the settings: on disk or in a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from bot.settings import Settings
from storage.archive.disk import Disk
from storage.database import is_postgresql

if TYPE_CHECKING:
    from storage.archive.s3 import S3


def make_store(settings: Settings) -> Disk | S3:
    """Make what `ARCHIVE_URL` names, else `ARCHIVE_DIR`; raises `StoreRefused` for what makes no sense together."""
    if settings.archive_url is None:
        return Disk(settings.archive_dir, is_shared=is_postgresql(settings.database_url))
    from storage.archive.s3 import S3, Access  # noqa: PLC0415 (its library is heavy, and few need it)

    bucket, _, prefix = settings.archive_url.removeprefix("s3://").partition("/")
    return S3(
        Access(
            bucket,
            prefix,
            endpoint=settings.aws_endpoint_url,
            region=settings.aws_region,
            key_id=_told(settings.aws_access_key_id),
            secret_key=_told(settings.aws_secret_access_key),
            token=_told(settings.aws_session_token),
        )
    )


def _told(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
