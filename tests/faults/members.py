"""What members do besides ordering: look through their songs, press the buttons under them, have things forgotten."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from tests.faults.harness import SETTLE_SECONDS
from tests.faults.orders import EXTENSION, Order

if TYPE_CHECKING:
    from sandbox.discord import Call, Channel, Member, Message
    from sandbox.vidgo import Task
    from tests.faults.harness import Stage


async def acknowledged(stage: Stage, *orders: Order) -> None:
    """Wait until each order shows something to whoever asked."""
    await stage.until(lambda: all(_shows(order) or stage.ended(order) for order in orders), "acknowledgement")


async def under_way(stage: Stage, *orders: Order) -> None:
    """Wait until each order shows something to whoever asked, and the program knows by which id VidGo has it."""
    query = (
        "SELECT 1 FROM notifications JOIN tasks ON tasks.id = notifications.task_id"
        " WHERE notifications.user_id = ? AND notifications.channel_id = ? AND tasks.vidgo_id IS NOT NULL"
    )
    await acknowledged(stage, *orders)
    await stage.until(lambda: all(stage.rows(query, *order.place) for order in orders), "order that VidGo has taken")


async def ended(stage: Stage, *orders: Order, seconds: float = SETTLE_SECONDS) -> None:
    """Wait until each order has an end that members can see."""
    await stage.until(lambda: all(map(stage.ended, orders)), "end", seconds)


async def finished(stage: Stage, count: int) -> None:
    """Wait until VidGo has finished so many tasks in all."""
    tasks = stage.vidgo.tasks
    await stage.vidgo.changes.until(lambda: sum(task.final for task in tasks.values()) >= count or None, 20)


def _shows(order: Order) -> bool:
    return order.call.original is not None and order.call.original.substantial


async def library(stage: Stage, member: Member, channel: Channel) -> Message:
    """Open a member's library and return the page."""
    call = await stage.discord.slash(member, channel, "music library")
    return await _page(stage, stage.note("library", member, channel, "", call))


async def _page(stage: Stage, order: Order) -> Message:
    await acknowledged(stage, order)
    assert order.call.original is not None
    return order.call.original


async def extend(stage: Stage, member: Member, song: Task, page: Message) -> Order:
    """Press *Extend…* under a song of a page of the library, and send the form as it is."""
    stage.vidgo.hold(EXTENSION)
    button = next(one.custom_id for one in page.buttons if (one.custom_id or "").startswith("lengthen:"))
    form = await stage.discord.press_custom_id(member, page, str(button))
    await form.acknowledged()
    call = await stage.discord.submit_modal(member, form, {})
    return stage.note("extend", member, page.channel, song.variants[0].audio_id, call)


async def again(stage: Stage, order: Order) -> Order:
    """Let a new member press *Again* under the post of an order."""
    member = stage.guild.add_member(f"member{next(stage.numbers)}")
    call = await _press(stage, order, member, "again:")
    return stage.note("again", member, order.channel, order.key, call)


async def heart(stage: Stage, order: Order) -> None:
    """Let a new member press the heart under the post of an order, and wait for what comes of it."""
    member = stage.guild.add_member(f"member{next(stage.numbers)}")
    call = await _press(stage, order, member, "like:")
    stage.pressed.append((order, 0, call))
    await stage.until(lambda: call.updated or not stage.program.is_whole, "heart")


async def choose_picture(stage: Stage, order: Order, number: int) -> None:
    """Let the requester of a cover choose one of its pictures, and wait for what comes of it."""
    call = await _press(stage, order, order.member, "picture:", str(number))
    stage.pressed.append((order, number, call))
    wanted = "SELECT 1 FROM notifications WHERE user_id = ? AND coalesce(picture_wanted, picture) = ?"
    await stage.until(
        lambda: not stage.program.is_whole or bool(stage.rows(wanted, order.member.id, number - 1)), "choice"
    )


async def _press(stage: Stage, order: Order, member: Member, begins: str, ends: str = "") -> Call:
    [post] = stage.posts(order)
    found = [str(one.custom_id) for one in post.buttons]
    button = next(one for one in found if one.startswith(begins) and one.endswith(ends))
    return await stage.discord.press_custom_id(member, post, button)


async def forget(stage: Stage, member: Member, channel: Channel) -> Message:
    """Have everything forgotten that is kept about a member, and return the answer."""
    call = await stage.discord.slash(member, channel, "music forget")
    order = stage.note("forget", member, channel, "", call)
    page = await _page(stage, order)
    with suppress(LookupError):  # the program may have answered something else
        stage.presses.append(await stage.discord.press(member, page, page.buttons[0].custom_id or ""))
        await stage.until(lambda: "forgotten" in page.content, "answer")
    return page
