"""The life of a task inside the provider: accepted, running, finished or failed, charged."""

from __future__ import annotations

import asyncio
import io
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
import av

from sandbox.vidgo.callbacks import is_local
from sandbox.vidgo.records import FileRule, Media, Variant
from sandbox.vidgo.results import DEFAULT_SHAPES, Task
from sandbox.vidgo.rules import PRICES, SONG_MODELS, RefusedError, error_body

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from sandbox.vidgo.callbacks import CallbackSender
    from sandbox.vidgo.records import Json, Status
    from sandbox.vidgo.state import State

_UPLOAD_MAX_BYTES = 200_000_000
_UPLOAD_MAX_SECONDS = 480.0
_UPLOAD_MAX_SECONDS_V4_5ALL = 60.0
_FETCH_TIMEOUT = 20.0


class _Plan:
    """What happens to the next tasks of one model: `times` counts down, None is for good."""

    def __init__(self, what: str, times: int | None) -> None:
        self.what = what
        self.times = times


class TaskRunner:
    """Makes tasks and brings them to their end, as the stand-in's settings have it."""

    def __init__(self, vidgo: State, sender: CallbackSender) -> None:
        self._vidgo = vidgo
        self._sender = sender
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._callbacks: set[asyncio.Task[None]] = set()
        self.tasks = vidgo.tasks
        self.durations: dict[str, float] = {}
        self.held: set[str] = set()
        self.shapes: dict[str, _Plan] = {}
        self.failures: dict[str, _Plan] = {}
        self.file_rules: list[tuple[FileRule, str | None, Media, _Plan]] = []

    async def close(self) -> None:
        """End everything that is under way."""
        running = [*self._runs.values(), *self._callbacks]
        for job in running:
            job.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def plan(self, plans: dict[str, _Plan], model: str, what: str | None, times: int | None) -> None:
        """Set or, with None, clear what happens to the next tasks of a model."""
        plans.pop(model, None)
        if what is not None:
            plans[model] = _Plan(what, times)

    def plan_files(self, rule: FileRule, model: str | None, media: Media, times: int | None) -> None:
        """Set how the result files of the next tasks behave."""
        self.file_rules.append((rule, model, media, _Plan(rule.kind, times)))

    def create(self, model: str, data: Json, callback_url: str | None, title: str) -> Task:
        """Make a task that has not started; nothing runs yet."""
        now = datetime.fromtimestamp(self._vidgo.clock(), UTC).replace(tzinfo=None)
        task = Task(
            id=self._vidgo.new_task_id(),
            model=model,
            input=data,
            callback_url=callback_url,
            created_time=now.isoformat(timespec="seconds"),
            origin=self._vidgo.api_url,
            title=title,
            shape=DEFAULT_SHAPES[model],
            accepted_at=self._vidgo.clock(),
        )
        self.tasks[task.id] = task
        return task

    def accept(self, model: str, data: Json, callback_url: str | None) -> Task:
        """Take a submission whose fields are valid and start its task; raises `RefusedError`."""
        source = self._source(model, data)
        price = PRICES[model]
        running = (self.tasks[task_id] for task_id in self._runs)
        reserved = sum(task.price for task in running if not task.final)
        if self._vidgo.credits - reserved < price:
            raise RefusedError(402, "credits too low")
        title = data.get("title") or (source.title if source else " ".join(data.get("prompt", "").split()[:5]))
        task = self.create(model, data, callback_url, title)
        task.source, task.price = source, price
        if source is not None:
            source.products.append(task)
        job = asyncio.get_running_loop().create_task(self._run(task))
        self._runs[task.id] = job
        job.add_done_callback(lambda _: self._runs.pop(task.id, None))
        return task

    def _source(self, model: str, data: Json) -> Task | None:
        if model == "extend-music":
            found = self._by_audio_id(data["audio_id"])
            if found is None:
                raise RefusedError(404, "Parent task not found")
            if data["default_param_flag"] and data["continue_at"] >= found[1].duration:
                raise RefusedError(400, "continue_at lies outside the track")
            return found[0]
        if model not in {"generate-music-cover", "convert-to-wav"}:
            return None
        source = self.tasks.get(data["task_id"])
        if source is None:
            raise RefusedError(404, "Parent task not found")
        if source.model not in SONG_MODELS:
            raise RefusedError(400, "source task is not a song")
        if source.status != "finished":
            raise RefusedError(400, "source task is not finished")
        if model == "convert-to-wav" and not any(v.audio_id == data["audio_id"] for v in source.variants):
            raise RefusedError(404, "audio not found in the source task")
        for task in source.products:
            if task.model == model and task.status != "failed" and task.input == data:
                raise self._duplicate(task)
        return source

    def _duplicate(self, earlier: Task) -> RefusedError:
        # No document shows this answer for VidGo; each style is what some source of its kind says or does.
        style = self._vidgo.duplicate_style if earlier.model == "generate-music-cover" else "409"
        status, _, form = style.partition("_")
        text = "a cover exists for this task" if status == "409" else "cover already generated"
        error = RefusedError(int(status), text)
        if form == "id":
            error.body["data"] = {"task_id": earlier.id}
        elif form == "upstream_id":
            error.body["data"] = {"task_id": uuid.uuid4().hex}
        elif form == "error_id":
            error.body = error_body(error.status, text)
            error.body["error"]["task_id"] = earlier.id
        return error

    def _by_audio_id(self, audio_id: str) -> tuple[Task, Variant] | None:
        for task in self.tasks.values():
            for variant in task.variants if task.status == "finished" else ():
                if variant.audio_id == audio_id and task.model in SONG_MODELS:
                    return task, variant
        return None

    async def _run(self, task: Task) -> None:
        vidgo = self._vidgo
        seconds = self.durations.get(task.model, vidgo.seconds) * vidgo.time_scale
        await asyncio.sleep(seconds * 0.1)
        task.status = "running"
        vidgo.changes.notify()
        if vidgo.callback_faults.stages:
            self._in_background(self._sender.stage(task, vidgo.callback_faults, partial=False))
        await asyncio.sleep(seconds * 0.9)
        problem, heard = await self.listen(task)
        await vidgo.changes.until(lambda: task.model not in self.held or None, None)
        self.complete(task, problem, heard=heard)

    async def listen(self, task: Task) -> tuple[str | None, float]:
        """Fetch the source of an upload; return what is wrong with it, and its length in seconds."""
        if task.model != "upload-and-cover-audio":
            return None, 0.0
        url = task.input["upload_url"]
        if not is_local(url):
            return "upload_url could not be fetched", 0.0
        try:
            timeout = aiohttp.ClientTimeout(total=_FETCH_TIMEOUT)
            async with self._sender.session.get(url, timeout=timeout) as answer:
                if answer.status != 200:
                    return f"upload_url answered with status {answer.status}", 0.0
                body = bytearray()
                async for chunk in answer.content.iter_any():
                    body += chunk
                    if len(body) > _UPLOAD_MAX_BYTES:
                        return "upload_url is too large", 0.0
            seconds = await asyncio.to_thread(_audio_seconds, bytes(body))
        except (aiohttp.ClientError, TimeoutError, OSError):
            return "upload_url could not be fetched", 0.0
        except ValueError as error:
            return str(error), 0.0
        longest = _UPLOAD_MAX_SECONDS_V4_5ALL if task.input["mv"] == "V4_5ALL" else _UPLOAD_MAX_SECONDS
        if seconds > longest:
            return f"audio is longer than {longest:g} seconds", 0.0
        return None, seconds

    def complete(self, task: Task, problem: str | None = None, *, heard: float = 0.0) -> None:
        """End a task now: as planned for its model, or failed with `problem`. Ends nothing twice."""
        if task.final:
            return
        vidgo, faults = self._vidgo, self._vidgo.callback_faults
        problem = problem or _take(self.failures, task.model)
        if problem is not None:
            task.status, task.error_message = "failed", problem
        else:
            task.variants = task.variants or self._variants(task, heard)
            task.shape = _take(self.shapes, task.model) or DEFAULT_SHAPES[task.model]
            self.pin_file_rules(task)
            task.status = "finished"
            if task.price:
                vidgo.credits -= task.price
                vidgo.charged.append((task.id, task.price))
        now = vidgo.clock()
        task.visible_at = now + (faults.delay + vidgo.detail_lag) * vidgo.time_scale
        task.files_at = now + (faults.delay + vidgo.files_lag) * vidgo.time_scale if vidgo.files_lag else 0.0
        if (run := self._runs.get(task.id)) and run is not asyncio.current_task():
            run.cancel()
        self._in_background(self._sender.final(task, faults))
        vidgo.changes.notify()

    async def finish_and_deliver(self, task: Task) -> None:
        """End a task and return once its callback has been posted for the first time."""
        vidgo = self._vidgo
        problem, heard = await self.listen(task)
        wanted = self._sender.wants(task, vidgo.callback_faults)
        self.complete(task, problem, heard=heard)
        if wanted:
            await vidgo.changes.until(lambda: any(one.task_id == task.id for one in vidgo.deliveries) or None, 10)

    def _in_background(self, posting: Coroutine[None, None, None]) -> None:
        job = asyncio.get_running_loop().create_task(posting)
        self._callbacks.add(job)
        job.add_done_callback(self._callbacks.discard)

    def pin_file_rules(self, task: Task) -> None:
        """Give a task that finishes the file rules planned for it."""
        for entry in list(self.file_rules):
            rule, model, media, plan = entry
            if model in {None, task.model} and media not in task.file_rules:
                task.file_rules[media] = rule.begun(self._vidgo.clock())
                if plan.times is not None:
                    plan.times -= 1
                    if plan.times <= 0:
                        self.file_rules.remove(entry)

    def _variants(self, task: Task, heard: float) -> list[Variant]:
        data = task.input
        style = data.get("style") or data.get("prompt", "")
        prompt = data.get("prompt", "") if data.get("custom_mode") else ""
        if task.model == "generate-music":
            return self.variants(task.title, style, self._vidgo.audio_seconds, 2, prompt=prompt)
        if task.model == "extend-music":
            found = self._by_audio_id(data["audio_id"])
            if found is None:  # the source cannot vanish: tasks are never forgotten
                raise RuntimeError("the source of an extension is gone")
            kept = data["continue_at"] if data["default_param_flag"] else found[1].duration
            tags = data.get("style") or found[1].tags
            seconds = kept + self._vidgo.audio_seconds
            return self.variants(task.title, tags, seconds, 2, tune=found[1].tune)
        if task.model == "upload-and-cover-audio":
            tune = self._tune_at(data["upload_url"]) or task.title
            return self.variants(task.title, style, round(heard, 2), 2, tune=tune, prompt=prompt)
        source = task.source.variants if task.source else []
        if task.model == "convert-to-wav":
            return [variant for variant in source if variant.audio_id == data["audio_id"]]
        if task.model == "generate-music-cover":
            return [replace(v, audio_id=str(uuid.uuid4()), seed=v.seed + 50) for v in source]
        return []

    def variants(
        self, title: str, tags: str, seconds: float, count: int, *, tune: str | None = None, prompt: str = ""
    ) -> list[Variant]:
        """Return performances of one tune, each a little shorter than the one before."""
        return [
            Variant(
                audio_id=str(uuid.uuid4()),
                title=title,
                tags=tags,
                duration=round(seconds * (1 - 0.04 * number), 2),
                tune=tune or title,
                seed=number,
                prompt=prompt,
            )
            for number in range(count)
        ]

    def _tune_at(self, url: str) -> str | None:
        """Return the tune of one of the stand-in's own files, so that a new performance keeps it."""
        parts = urlsplit(url)
        pieces = parts.path.strip("/").split("/")
        if parts.port != self._vidgo.port or len(pieces) != 3 or pieces[1] not in self.tasks:
            return None
        number = pieces[2].partition(".")[0]
        variants = self.tasks[pieces[1]].variants
        known = number.isdecimal() and 0 < int(number) <= len(variants)
        return variants[int(number) - 1].tune if known else None


def song_status(task: Task, status: Status, error_message: str | None) -> None:
    """Put a task made elsewhere straight into a state."""
    task.status = status
    task.error_message = (error_message or "the song could not be made") if status == "failed" else None


def _take(plans: dict[str, _Plan], model: str) -> str | None:
    plan = plans.get(model)
    if plan is None:
        return None
    if plan.times is not None:
        plan.times -= 1
        if plan.times <= 0:
            del plans[model]
    return plan.what


def _audio_seconds(body: bytes) -> float:
    """Return the length of audio; raises `ValueError` if it is none."""
    try:
        with av.open(io.BytesIO(body), "r") as container:
            if not container.streams.audio:
                raise ValueError("upload_url holds no audio")
            stream = container.streams.audio[0]
            return float(sum(frame.samples for frame in container.decode(stream)) / stream.rate)
    except (av.FFmpegError, EOFError) as error:
        raise ValueError("upload_url is not a readable audio file") from error
