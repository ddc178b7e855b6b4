"""Breaks one ledger at a time, as only a bug of the program could."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from sandbox.discord.rest.requests import Request
from sandbox.discord.state.messages import create_message, delete_message
from sandbox.discord.state.model import EPHEMERAL, LOADING
from sandbox.vidgo.records import RequestRecord, Submission
from tests.faults.audit.ledgers import ALL_FORGOTTEN
from tests.faults.orders import SONG
from tests.faults.watching import WORKED

if TYPE_CHECKING:
    from tests.faults.harness import Stage
    from tests.faults.orders import Order

IN_DOUBT = (
    "VidGo never confirmed the order for **Sea Song**, so I cannot tell whether it was taken. I did not order it "
    "twice. Ask again if you want another try."
)


NOT_MADE = "VidGo could not make **Sea Song** and gives no reason. Try again later."


def change(stage: Stage, query: str, *values: object, count: int = 1) -> None:
    """Change the database as only a bug could."""
    with closing(sqlite3.connect(stage.database)) as connection:
        assert connection.execute(query, values).rowcount == count
        connection.commit()


def whisper(order: Order, content: str) -> None:
    """Tell a member something in private once more."""
    body = {"content": content, "flags": EPHEMERAL}
    order.call.followups.append(create_message(order.channel, order.channel.state.bot, body, call=order.call))


def post_is_gone(stage: Stage, order: Order) -> None:
    delete_message(stage.posts(order)[0])


def given_up(stage: Stage, order: Order) -> None:
    change(stage, "UPDATE notifications SET state = 'undeliverable' WHERE user_id = ?", order.member.id)


def task_is_forgotten(stage: Stage, order: Order) -> None:
    change(stage, "DELETE FROM tasks WHERE user_id = ?", order.member.id)


def paid_for_nothing(stage: Stage, order: Order) -> None:
    query = "UPDATE tasks SET status = 'failed', error_kind = 'busy' WHERE user_id = ?"
    change(stage, query, order.member.id)


def never_made(stage: Stage, order: Order) -> None:
    [row] = stage.rows("SELECT vidgo_id FROM tasks WHERE user_id = ?", order.member.id)
    stage.vidgo.tasks[row["vidgo_id"]].status = "failed"


def posted_twice(stage: Stage, order: Order) -> None:
    create_message(order.channel, stage.discord.state.bot, {"content": stage.posts(order)[0].content})


def told_besides(_stage: Stage, order: Order) -> None:
    whisper(order, "I was interrupted before I could do that. No credits were used; please try again.")


def told_without_acknowledgement(_stage: Stage, order: Order) -> None:
    order.call.acknowledged_at, order.life = None, 0


def ordered_twice(stage: Stage, order: Order) -> None:
    [row] = stage.rows("SELECT * FROM tasks WHERE user_id = ?", order.member.id)
    values = {**row, "id": f"{row['id'][:-4]}zzzz", "vidgo_id": None, "status": "failed", "error_kind": "failed"}
    marks = ", ".join("?" * len(values))
    change(stage, f"INSERT INTO tasks ({', '.join(values)}) VALUES ({marks})", *values.values())


def submitted_twice(stage: Stage, order: Order) -> None:
    first = next(one for one in stage.vidgo.submissions if one.input["prompt"] == order.key)
    stage.vidgo.log_submission(Submission(SONG, first.input, first.callback_url, first.at, None, None, accepted=False))


def charged_twice(stage: Stage, order: Order) -> None:
    first = next(one for one in stage.vidgo.submissions if one.input["prompt"] == order.key)
    again = Submission(SONG, first.input, first.callback_url, first.at, 200, "ANOTHER000000001", accepted=True)
    stage.vidgo.log_submission(again)
    stage.vidgo.charged.append(("ANOTHER000000001", 20))


def still_thinking(_stage: Stage, order: Order) -> None:
    assert order.call.original is not None
    order.call.original.flags |= LOADING


def still_sending(stage: Stage, order: Order) -> None:
    change(stage, "UPDATE notifications SET state = 'sending' WHERE user_id = ?", order.member.id)


def token_is_kept(stage: Stage, order: Order) -> None:
    change(stage, "UPDATE notifications SET interaction_token = 'secret' WHERE user_id = ?", order.member.id)


def acknowledgement_is_stale(stage: Stage, order: Order) -> None:
    assert order.public is not None
    order.public.content = "Making **Sea Song**."
    assert stage.posts(order)


def promises_what_is_cancelled(stage: Stage, order: Order) -> None:
    assert order.public is not None
    button = {"type": 2, "style": 2, "label": "Don't post", "custom_id": "stop:0123456789abcdefghjkmnpq"}
    order.public.components = [{"type": 1, "components": [button]}]
    change(stage, "UPDATE notifications SET state = 'cancelled' WHERE user_id = ?", order.member.id)


def task_lives_on(stage: Stage, order: Order) -> None:
    change(stage, "UPDATE tasks SET status = 'running' WHERE user_id = ?", order.member.id)


def notification_is_gone(stage: Stage, order: Order) -> None:
    change(stage, "DELETE FROM notifications WHERE user_id = ?", order.member.id)


def archive_is_cut_off(stage: Stage, _order: Order) -> None:
    path = max(stage.archive.glob("*/*"), key=lambda path: path.stat().st_size)
    with path.open("r+b") as file:
        file.truncate(1000)


def archive_lacks_a_file(stage: Stage, _order: Order) -> None:
    min(stage.archive.glob("*/*"), key=lambda path: path.stat().st_size).unlink()


def archive_has_a_part(stage: Stage, _order: Order) -> None:
    next(stage.archive.glob("*/*")).with_name(".0123.part").write_bytes(b"ID3")


# What is told against what was


def called_in_doubt(_stage: Stage, order: Order) -> None:
    whisper(order, IN_DOUBT)


def called_in_doubt_after_hanging_up(stage: Stage, order: Order) -> None:
    """Let VidGo have found nobody at the other end although the program lived."""
    hung_up(stage, order)
    whisper(order, IN_DOUBT)


def called_in_doubt_and_known(stage: Stage, order: Order) -> None:
    change(stage, "UPDATE tasks SET status = 'given_up', error_kind = 'lost' WHERE user_id = ?", order.member.id)


def hung_up(stage: Stage, order: Order, *, is_gone: bool = True) -> float:
    """Let VidGo have read an order when its sender was gone, or not; return when it read it."""
    one = next(one for one in stage.vidgo.submissions if one.input["prompt"] == order.key)
    one.hung_up = is_gone
    return one.at


def called_in_doubt_unsent(stage: Stage, order: Order) -> None:
    never_sent(stage, order)
    whisper(order, IN_DOUBT)


def never_sent(stage: Stage, order: Order, at: float | None = None) -> None:
    """Let VidGo have seen nothing of an order that waited to be sent, and was to be sent at a moment."""
    stage.vidgo.submissions = [one for one in stage.vidgo.submissions if one.input["prompt"] != order.key]
    at = stage.time.now() - 100 if at is None else at
    change(stage, "UPDATE tasks SET submitted_at = ? WHERE user_id = ?", at, order.member.id)


def ordered_after_all(_stage: Stage, order: Order) -> None:
    whisper(order, "I was interrupted before I could do that. No credits were used; please try again.")


def file_called_gone(_stage: Stage, order: Order) -> None:
    whisper(order, "**Sea Song** is finished, but VidGo no longer has its file, so I cannot post it.")


def file_called_gone_at_once(stage: Stage, order: Order) -> None:
    host_answers(stage, order, 404, seconds=(1.0, 0.5, 0.0))
    file_called_gone(stage, order)


def file_called_gone_in_an_outage(stage: Stage, order: Order) -> None:
    host_answers(stage, order, 404, seconds=(400.0, 200.0))
    host_answers(stage, order, 503, seconds=(0.0,))
    file_called_gone(stage, order)


def host_answers(stage: Stage, order: Order, status: int, seconds: tuple[float, ...]) -> None:
    """Let the host of an order's files have answered some seconds ago."""
    [row] = stage.rows("SELECT vidgo_id FROM tasks WHERE user_id = ?", order.member.id)
    path = f"/files/{row['vidgo_id']}/1.mp3"
    for ago in seconds:
        stage.vidgo.requests.append(RequestRecord("GET", path, status, stage.time.now() - ago))


def music_called_none(_stage: Stage, order: Order) -> None:
    whisper(
        order,
        "**Sea Song** is finished, but the file that VidGo delivered is not music that I can post. The owner finds the "
        "reason in the log.",
    )


def not_made_but_posted(_stage: Stage, order: Order) -> None:
    acknowledge(order, "**Sea Song** could not be made.")


def done_nowhere(_stage: Stage, order: Order) -> None:
    acknowledge(order, "**Sea Song** is done: https://discord.com/channels/1/2/3")


def done_without_a_file(stage: Stage, order: Order) -> None:
    message = create_message(order.channel, stage.discord.state.bot, {"content": "Sorry that it took so long."})
    acknowledge(order, f"**Sea Song** is done: https://discord.com/channels/1/2/{message.id}")


def promised_for_yesterday(stage: Stage, order: Order) -> None:
    acknowledge(order, f"Making **Sea Song**. I expect it <t:{int(stage.time.now()) - 86400}:R>.")


def made_before_it_was_asked_for(_stage: Stage, order: Order) -> None:
    acknowledge(order, "**Sea Song** was covered before. Here it comes again.")


def private_in_an_open_channel(_stage: Stage, order: Order) -> None:
    acknowledge(order, "**Sea Song** is done. It could not be posted here, so whoever asked for it got it privately.")


def unfinished_although_finished(_stage: Stage, order: Order) -> None:
    whisper(order, "VidGo has not finished that song yet. Try again when it is done.")


def no_words_of_the_bots(_stage: Stage, order: Order) -> None:
    whisper(order, "All is well.")


def waited_for_its_turn(stage: Stage, order: Order) -> None:
    change(stage, "UPDATE tasks SET submitted_at = submitted_at - 60 WHERE user_id = ?", order.member.id)


def acknowledge(order: Order, content: str) -> None:
    assert order.public is not None
    order.public.content = content


# What comes late, comes back, and comes again


def came_late(stage: Stage, order: Order) -> None:
    order.patience = -60.0
    assert stage.posts(order)


def due_and_not_there(stage: Stage, order: Order) -> None:
    order.due = True
    delete_message(stage.posts(order)[0])


def doubt_is_told_to_nobody(stage: Stage, order: Order) -> None:
    at = stage.time.now() - 1000
    stage.vidgo.log_submission(Submission(SONG, {"prompt": order.key}, None, at, None, None, accepted=False))


def trouble_is_told_to_nobody(stage: Stage, order: Order) -> None:
    host_answers(stage, order, 503, seconds=(1000.0,))


def remembered(_stage: Stage, order: Order) -> None:
    whisper(order, ALL_FORGOTTEN)


def addressed_after_all(stage: Stage, order: Order) -> None:
    change(stage, "DELETE FROM notifications WHERE user_id = ?", order.member.id)
    change(stage, "DELETE FROM library WHERE user_id = ?", order.member.id, count=2)
    change(stage, "UPDATE tasks SET user_id = 0 WHERE user_id = ?", order.member.id)
    whisper(order, ALL_FORGOTTEN)
    create_message(order.channel, stage.discord.state.bot, {"content": stage.posts(order)[0].content})


def worked_on_in_vain(stage: Stage, order: Order) -> None:
    with (stage.program.directory / WORKED).open("a") as file:
        file.writelines(f"{1000 + number / 20} delivery {order.member.id}\n" for number in range(20))


def edited_in_vain(stage: Stage, order: Order) -> None:
    again = Request("PATCH", f"/channels/1/messages/{order.member.id}", 0.0, status=200, body={"content": "Here."})
    stage.discord.requests.extend([again] * 20)


def read_in_vain(stage: Stage, order: Order) -> None:
    again = RequestRecord("GET", "/api/generate/detail/music", 200, 0.0, f"task_id={order.member.id}")
    stage.vidgo.requests.extend([again] * 20)


def archive_lost_a_file(stage: Stage, order: Order) -> None:
    stage.kept[str(order.member.id)] = "a task"


def never_archived(stage: Stage, order: Order) -> None:
    query = (
        "UPDATE files SET audio_sha256 = NULL, archive_at = NULL "
        "WHERE position = 0 AND task_id = (SELECT id FROM tasks WHERE user_id = ?)"
    )
    change(stage, query, order.member.id)
