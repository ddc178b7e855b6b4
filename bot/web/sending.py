"""Files as answers, whole or in part, as HTTP means it where aiohttp takes its own way (RFC 9110, 13.1.5 and 14.2)."""

from __future__ import annotations

import re
from pathlib import Path

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.typedefs import LooseHeaders
from multidict import CIMultiDict

_ONE_PART = re.compile(r"bytes=(?:(?P<first>\d+)-(?P<last>\d*)|-0*[1-9]\d*)", re.ASCII)
"""The only kind of range that is served; whatever else is asked for gets the whole file, as HTTP permits."""


class SentFile(web.FileResponse):
    """A file that may be removed once it is prepared, which means sent: aiohttp would prepare it again and fail."""

    def __init__(self, path: Path, headers: LooseHeaders) -> None:
        super().__init__(path, headers=headers)
        self._file = path

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the file, once."""
        if self.prepared:
            return None
        return await super().prepare(request if self._is_part_wanted(request) else _for_the_whole(request))

    def _is_part_wanted(self, request: web.BaseRequest) -> bool:
        """Tell whether the request's `Range` counts: one that is understood, of the file that its reader has begun."""
        asked = _ONE_PART.fullmatch(request.headers.get(hdrs.RANGE, ""))
        if asked is None or (asked["last"] and int(asked["last"]) < int(asked["first"])):
            return False
        condition = request.headers.get(hdrs.IF_RANGE)
        if condition is None or request.if_range is not None:  # aiohttp knows no other condition than a date
            return True
        found = self._file.stat()
        return condition == f'"{found.st_mtime_ns:x}-{found.st_size:x}"'


def _for_the_whole(request: web.BaseRequest) -> web.BaseRequest:
    headers = CIMultiDict(request.headers)
    headers.popall(hdrs.RANGE, None)
    headers.popall(hdrs.IF_RANGE, None)
    return request.clone(headers=headers)
