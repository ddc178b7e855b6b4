"""A callback that arrives at the very moment at which the answer to the submission is recorded."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.metrics import Metrics
from bot.settings import Settings
from bot.tasks.ending import Ending
from bot.tasks.owner import OwnerNotices
from bot.tasks.reading import Reading
from bot.tasks.schedule import LAGS, Schedule
from bot.tasks.submission import Submission
from bot.vidgo import VidGo
from storage import tasks as rows
from storage.database import Database
from storage.schema import TaskStatus
from storage.tasks import Task
from storage.wakeups import Queue
from tests.storage.rows import NOW, a_task
