"""What all tests of the VidGo client need."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from bot.vidgo import (
    VidGo,
)
from tests.vidgo.service import KEY, Clock, Service


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    await service.server.start_server()
    yield service
    await service.server.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vidgo(service: Service, session: aiohttp.ClientSession, clock: Clock) -> VidGo:
    return VidGo(session, service.url, KEY, requests_per_second=1000, timeout=5, clock=clock, sleep=clock.sleep)
