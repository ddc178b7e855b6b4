"""One page that is open: what its person does goes to the bot as a real interaction, what arrives goes to the page."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import WSMsgType

from sandbox.discord import NoSuchComponentError, UnknownCommandError
from sandbox.discord.state.content import walk_components
from sandbox.discord.state.model import ANSWER_SECONDS
from sandbox.play import scene
from sandbox.play.mischief import NoSuchMischiefError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from aiohttp import web

    from sandbox.discord import Call, Channel, Member, Message
    from sandbox.play.books import Books
    from sandbox.play.mischief import Mischief
    from sandbox.play.stage import Stage

Json = dict[str, Any]
T = TypeVar("T")

UNANSWERED = "The application did not respond."
USER, CHANNEL = 6, 7
USER_MENU, MENTIONABLE_MENU, CHANNEL_MENU = 5, 7, 8


class NotHereError(LookupError):
    """The page named something that its person cannot see."""


class Visitor:
    """Serves one WebSocket. Each thing done has a number, under which the page is told what became of it."""

    def __init__(self, socket: web.WebSocketResponse, stage: Stage, books: Books, mischief: Mischief) -> None:
        self._socket = socket
        self._stage, self._books, self._mischief = stage, books, mischief
        self._person = stage.people[0]
        self._outbox: asyncio.Queue[Json] = asyncio.Queue()
        self._doing: set[asyncio.Task[None]] = set()
        self._calls: dict[str, Call] = {}
        self._announced = False
        self._acts: dict[str, Callable[[Json], Awaitable[Json | None]]] = {
            "be": self._be,
            "speak": self._speak,
            "say": self._say,
            "type": self._type,
            "use": self._use,
            "press": self._press,
            "select": self._select,
            "menu": self._menu,
            "submit": self._submit,
            "mischief": self._do_mischief,
        }

    async def serve(self) -> None:
        """Speak with the page until it is closed."""
        stage, books = self._stage, self._books
        stage.discord.state.onlookers.append(self._saw)
        stage.onlookers.append(self._life_turned)
        books.onlookers.append(self._heard)
        writing = asyncio.create_task(self._write())
        self._show_place()
        self._outbox.put_nowait({"type": "happened", "events": list(books.events)})
        try:
            async for frame in self._socket:
                if frame.type is WSMsgType.TEXT:
                    self._receive(frame.data)
        finally:
            stage.discord.state.onlookers.remove(self._saw)
            stage.onlookers.remove(self._life_turned)
            books.onlookers.remove(self._heard)
            for task in [writing, *self._doing]:
                task.cancel()
            await asyncio.gather(writing, *self._doing, return_exceptions=True)

    async def _write(self) -> None:
        while True:
            item = await self._outbox.get()
            try:
                await self._socket.send_str(json.dumps(item))
            except ConnectionError:
                return

    def _receive(self, text: str) -> None:
        try:
            wanted = json.loads(text)
            number, act = wanted["number"], self._acts[wanted["do"]]
        except (ValueError, TypeError, KeyError):
            return  # it is not this page that speaks
        task = asyncio.create_task(self._act(number, act, wanted))
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)

    async def _act(self, number: Any, act: Callable[[Json], Awaitable[Json | None]], wanted: Json) -> None:
        try:
            answer = await act(wanted) or {}
        except TimeoutError:
            answer = {"failed": UNANSWERED}
        except (UnknownCommandError, NoSuchComponentError, NoSuchMischiefError, NotHereError) as error:
            answer = {"failed": str(error)}
        except (KeyError, TypeError, ValueError):
            answer = {"failed": "That could not be understood."}
        self._outbox.put_nowait({"type": "answer", "number": number} | answer)

    # What arrives

    def _show_place(self) -> None:
        self._outbox.put_nowait({"type": "place"} | scene.place(self._stage, self._person))
        self._announce()

    def _life_turned(self) -> None:
        self._show_place()

    def _saw(self, message: Message) -> None:
        if not scene.sees(message, self._person):
            return
        if message.channel.guild is None and len(message.channel.history) == 1:
            self._show_place()  # the conversation is new
        if message.deleted:
            self._outbox.put_nowait({"type": "gone", "id": str(message.id)})
        else:
            self._outbox.put_nowait({"type": "message", "message": scene.shown_message(message)})

    def _heard(self, entry: Json) -> None:
        self._outbox.put_nowait({"type": "happened", "events": [entry]})
        self._announce()

    def _announce(self) -> None:
        """Tell how the stage is, once for all that changes in one turn."""
        if not self._announced:
            self._announced = True
            asyncio.get_running_loop().call_soon(self._tell_stage)

    def _tell_stage(self) -> None:
        self._announced = False
        self._outbox.put_nowait(
            {
                "type": "stage",
                "life": self._stage.life,
                "reason": self._stage.reason,
                "counts": self._books.counts(),
                "tasks": self._books.tasks(),
                "settings": self._mischief.settings(),
            }
        )

    # What the person does

    async def _be(self, wanted: Json) -> None:
        self._person = self._somebody(wanted["person"])
        self._show_place()

    async def _speak(self, wanted: Json) -> None:
        language = wanted["language"]
        if language not in scene.languages(self._stage.discord):
            raise NotHereError(f"the bot does not speak {language!r}")
        self._person.user.locale = language
        self._show_place()

    async def _say(self, wanted: Json) -> None:
        self._stage.discord.post_as(self._person, self._channel(wanted), str(wanted["text"])[:2000])

    async def _type(self, wanted: Json) -> Json:
        others = self._options(wanted)
        call = await self._stage.discord.start_autocomplete(
            self._person,
            self._channel(wanted),
            wanted["command"],
            wanted["option"],
            str(wanted["typed"]),
            timeout=ANSWER_SECONDS,
            **others,
        )
        await self._acknowledged(call)
        return {"choices": call.choices}

    async def _use(self, wanted: Json) -> Json:
        command = wanted["command"]
        self._books.note("discord", f"{self._person.name} uses /{command}")
        return await self._answered(
            self._stage.discord.slash(
                self._person, self._channel(wanted), command, timeout=ANSWER_SECONDS, **self._options(wanted)
            )
        )

    async def _press(self, wanted: Json) -> Json:
        message = self._message(wanted)
        pressed = (button for button in message.buttons if button.custom_id == wanted["custom_id"])
        label = next((button.label for button in pressed), None)
        self._books.note("discord", f"{self._person.name} presses {label or 'a button'}")
        return await self._answered(
            self._stage.discord.press(self._person, message, wanted["custom_id"], timeout=ANSWER_SECONDS)
        )

    async def _select(self, wanted: Json) -> Json:
        message, name = self._message(wanted), wanted["custom_id"]
        values = self._chosen(message.components, name, wanted["values"])
        self._books.note("discord", f"{self._person.name} chooses in a menu")
        return await self._answered(
            self._stage.discord.select(self._person, message, name, values, timeout=ANSWER_SECONDS)
        )

    async def _menu(self, wanted: Json) -> Json:
        self._books.note("discord", f"{self._person.name} chooses “{wanted['name']}” in a message's menu")
        return await self._answered(
            self._stage.discord.message_menu(
                self._person, self._message(wanted), wanted["name"], timeout=ANSWER_SECONDS
            )
        )

    async def _submit(self, wanted: Json) -> Json:
        call = self._calls[wanted["call"]]
        components = (call.modal or {})["components"]
        values = {name: self._chosen(components, name, value) for name, value in wanted["values"].items()}
        self._books.note("discord", f"{self._person.name} sends a form")
        return await self._answered(self._stage.discord.submit_modal(self._person, call, values))

    async def _do_mischief(self, wanted: Json) -> None:
        await self._mischief.do(wanted["what"], wanted.get("value"))
        self._announce()

    async def _answered(self, sending: Awaitable[Call]) -> Json:
        """Wait for the bot's first answer, and return the form if it is one."""
        call = await sending
        await self._acknowledged(call)
        if call.modal is None:
            return {}
        self._calls[str(call.id)] = call
        return {"call": str(call.id), "modal": call.modal}

    async def _acknowledged(self, call: Call) -> None:
        async with asyncio.timeout(ANSWER_SECONDS):
            await call.acknowledged(ANSWER_SECONDS)

    def _options(self, wanted: Json) -> Json:
        """Return a command's options by name, with the people and channels that their ids stand for."""
        return {
            str(option["name"]): self._somebody(option["value"])
            if option["type"] == USER
            else self._channel({"channel": option["value"]})
            if option["type"] == CHANNEL
            else option["value"]
            for option in wanted["options"]
        }

    def _chosen(self, components: list[Json], name: str, values: Any) -> Any:
        """Return what was typed or chosen in a component, with the people and channels that ids stand for."""
        kind = next((item["type"] for item in walk_components(components) if item.get("custom_id") == name), None)
        if kind in {USER_MENU, MENTIONABLE_MENU}:
            return [self._somebody(value) for value in values]
        if kind == CHANNEL_MENU:
            return [self._channel({"channel": value}) for value in values]
        return values

    def _somebody(self, number: Any) -> Member:
        return _found((one for one in self._stage.people if str(one.id) == number), "person")

    def _channel(self, wanted: Json) -> Channel:
        seen = scene.channels(self._stage, self._person)
        return _found((channel for channel in seen if str(channel.id) == wanted["channel"]), "channel")

    def _message(self, wanted: Json) -> Message:
        seen = (
            message for channel in scene.channels(self._stage, self._person) for message in channel.history.values()
        )
        mine = (one for one in seen if str(one.id) == wanted["message"] and scene.sees(one, self._person))
        return _found(mine, "message")


def _found(things: Iterable[T], what: str) -> T:
    thing = next(iter(things), None)
    if thing is None:
        raise NotHereError(f"There is no such {what} here.")
    return thing
