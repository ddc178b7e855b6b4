from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.vidgo import (
    AnswerLost,
    Busy,
    ContentRefused,
    Duplicate,
    InvalidRequest,
    KeyRefused,
    NoCredits,
    Nonsense,
    SourceNotReady,
    UnknownTask,
    VersionRefused,
    VidGoError,
)
from bot.vidgo.answers import Answer, Question, refusal

SUBMIT, COVER, DETAIL, BALANCE = (
    Question.SUBMIT,
    Question.SUBMIT_ON_SOURCE,
    Question.DETAIL,
    Question.BALANCE,
)
EVERY = [SUBMIT, COVER, DETAIL, BALANCE]


def error(code: int, message: str = "", kind: str = "", **more: Any) -> dict[str, Any]:
    return {"code": code, "error": {"message": message, "type": kind}, **more}


def refused(status: int, body: object, question: Question = COVER, retry_after: str | None = None) -> VidGoError:
    return refusal(Answer(status, body, readable=True, retry_after=retry_after), question)


@pytest.mark.parametrize("question", EVERY)
@pytest.mark.parametrize(
    ("code", "message", "kind", "expected"),
    [
        (401, "key not valid", "authentication_error", KeyRefused),
        (403, "ip not allowed", "permission_denied_error", KeyRefused),
        (402, "credits too low", "insufficient_credits_error", NoCredits),
        (429, "Insufficient balance", "", NoCredits),
        (429, "daily quota used up", "", NoCredits),
        (429, "slow down, try again in 7 seconds", "rate_limit_error", Busy),
        (429, "the load balancers are busy", "", Busy),
        (430, "", "", Busy),
        (455, "maintenance", "", Busy),
        (405, "call frequency too high", "", Busy),
        (405, "Method Not Allowed", "", InvalidRequest),
        (413, "text too long", "", InvalidRequest),
        (408, "timeout", "timeout_error", AnswerLost),
        (500, "oops", "internal_error", AnswerLost),
        (502, "upstream", "upstream_error", AnswerLost),
        (503, "busy", "service_error", Busy),
        (504, "", "", AnswerLost),
        (520, "", "", AnswerLost),
        (1001, "who knows", "", AnswerLost),
    ],
)
def test_codes_mean_the_same_in_the_status_line_and_in_the_body(
    question: Question, code: int, message: str, kind: str, expected: type[VidGoError]
) -> None:
    body = error(code, message, kind)
    in_body = refused(200, body, question)
    assert type(in_body) is expected
    assert in_body.code == code
    assert in_body.reason == (message or f"error {code} without a reason")
    if code < 600:
        assert type(refused(code, body, question)) is expected
        assert type(refused(code, {**body, "code": 200}, question)) is expected
        assert type(refused(code, {**body, "code": str(code)}, question)) is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, KeyRefused), (402, NoCredits), (429, Busy), (503, AnswerLost), (502, AnswerLost),
     (200, AnswerLost), (204, AnswerLost)],
)  # fmt: skip
@pytest.mark.parametrize("question", EVERY)
def test_without_a_json_body_the_status_line_counts(
    question: Question, status: int, expected: type[VidGoError]
) -> None:
    assert type(refusal(Answer(status, None, readable=False), question)) is expected


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413])
@pytest.mark.parametrize("body", [None, {"message": "no Route matched with those values"}, {"detail": "Not Found"}])
@pytest.mark.parametrize("question", EVERY)
def test_a_no_from_somebody_in_front_of_vidgo_is_never_final(question: Question, status: int, body: object) -> None:
    if status == 400 and body is not None:
        return  # whoever says that has read the request
    error = refusal(Answer(status, body, readable=body is not None), question)
    assert type(error) is (Busy if question.is_submission else Nonsense)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("body", [None, {}, {"code": 200}])
@pytest.mark.parametrize("question", EVERY)
def test_who_sends_us_elsewhere_has_taken_nothing(question: Question, status: int, body: object) -> None:
    error = refusal(Answer(status, body, readable=body is not None), question)
    assert type(error) is (Busy if question.is_submission else Nonsense)


@pytest.mark.parametrize("body", [{"message": "Service Unavailable"}, [], "down", {"code": 200}])
def test_a_503_that_is_not_vidgos_own_leaves_a_submission_open(body: object) -> None:
    assert type(refused(503, body)) is AnswerLost


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        (409, "a cover exists for this task", Duplicate),
        (409, "", Duplicate),
        (409, "a cover for this task is already in progress", Duplicate),
        (400, "cover already generated", Duplicate),
        (400, "Duplicate request", Duplicate),
        (400, "source task is not finished", SourceNotReady),
        (409, "task_not_finished", SourceNotReady),
        (409, "source is still processing", SourceNotReady),
        (404, "The task isn't ready", SourceNotReady),
        (422, "source has not yet completed", SourceNotReady),
        (404, "Parent task not found", UnknownTask),
        (404, "", UnknownTask),
        (400, "Parent task not found", UnknownTask),
        (409, "the task does not exist", UnknownTask),
        (400, "no such task exists", UnknownTask),
        (400, "the text violates our content policy", ContentRefused),
        (400, "task_id has the wrong form", InvalidRequest),
        (422, "task_id already in another form", InvalidRequest),
        (410, "gone", InvalidRequest),
    ],
)
def test_a_request_that_builds_on_a_song(code: int, message: str, expected: type[VidGoError]) -> None:
    assert type(refused(code, error(code, message), COVER)) is expected


@pytest.mark.parametrize(
    ("code", "message", "kind", "expected"),
    [
        (400, "prompt is not ready for singing", "validation_error", InvalidRequest),
        (400, "style already in the prompt", "validation_error", InvalidRequest),
        (400, "no", "content_moderation_error", ContentRefused),
        (400, "contains sensitive words", "", ContentRefused),
        (400, "prompt too long", "content_too_long_error", InvalidRequest),
        (404, "no such model", "resource_not_found_error", InvalidRequest),
        (409, "the persona exists", "", Duplicate),
    ],
)
def test_a_request_that_stands_alone(code: int, message: str, kind: str, expected: type[VidGoError]) -> None:
    assert type(refused(code, error(code, message, kind), SUBMIT)) is expected


@pytest.mark.parametrize("code", [400, 404, 422])
def test_whatever_is_wrong_with_a_read_is_wrong_with_its_task_id(code: int) -> None:
    assert type(refused(code, error(code, "duplicate"), DETAIL)) is UnknownTask
    assert type(refused(code, {"error": "no such task"}, DETAIL)) is UnknownTask


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("authentication_error", KeyRefused), ("insufficient_credits_error", NoCredits),
        ("permission_denied_error", KeyRefused), ("resource_not_found_error", UnknownTask),
        ("timeout_error", AnswerLost), ("conflict_error", Duplicate), ("rate_limit_error", Busy),
        ("internal_error", AnswerLost), ("upstream_error", AnswerLost), ("service_error", Busy),
        ("validation_error", InvalidRequest), ("CONTENT_MODERATION_ERROR", ContentRefused),
    ],
)  # fmt: skip
@pytest.mark.parametrize("code", [{}, {"code": 200}, {"code": 0}, {"code": 1}, {"code": "no"}])
def test_an_error_under_a_good_code_is_told_by_its_type(
    code: dict[str, Any], kind: str, expected: type[VidGoError]
) -> None:
    assert type(refused(200, {**code, "error": {"message": "no", "type": kind}})) is expected


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "too bad"}},
        {"error": "too bad"},
        {"message": "too bad"},
        {"code": 400, "msg": "too bad"},
        {"detail": "too bad"},
        {"detail": [{"msg": "too"}, {"message": "bad"}]},
        {"detail": ["too bad"]},
        {"detail": {"msg": "too bad"}},
        {"data": {"error_message": "too bad"}},
        {"error": {"message": " "}, "message": "", "msg": None, "detail": [3], "data": {"error_message": "too bad"}},
    ],
)
def test_the_reason_is_found_wherever_it_stands(body: dict[str, Any]) -> None:
    assert refused(400, body).reason.replace(";", "") == "too bad"


def test_a_schema_error_names_the_field() -> None:
    body = {"detail": [{"loc": ["body", "input", "task_id"], "msg": "field required", "type": "missing"}]}
    assert refused(422, body).reason == "task_id: field required"


@pytest.mark.parametrize(
    "more",
    [
        {"data": {"task_id": "COV1"}}, {"data": {"taskId": "COV1"}}, {"data": "COV1"}, {"task_id": "COV1"},
        {"error": {"message": "x", "task_id": "COV1"}}, {"error": {"data": "COV1"}},
        {"error": {"data": {"task_id": "COV1"}}},
    ],
)  # fmt: skip
@pytest.mark.parametrize(("status", "code"), [(409, 409), (200, 409), (400, 409)])
def test_a_duplicate_names_the_earlier_task_in_any_form(status: int, code: int, more: dict[str, Any]) -> None:
    found = refused(status, {"code": code, **more})
    assert isinstance(found, Duplicate)
    assert found.task_id == "COV1"


@pytest.mark.parametrize("more", [{}, {"data": None}, {"data": "a cover exists"}, {"data": ["COV1"]}])
def test_a_duplicate_may_name_no_task(more: dict[str, Any]) -> None:
    found = refused(409, {"code": 409, **more})
    assert isinstance(found, Duplicate)
    assert found.task_id is None


@pytest.mark.parametrize(
    ("header", "message", "wait"),
    [
        ("12", "", 12.0), (" 1.5 ", "", 1.5), ("0", "", 0.0), ("999999999", "", 86_400.0),
        ("Thu, 01 Jan 1970 00:00:40 GMT", "", 40.0), ("Thu, 01 Jan 1970 00:00:40 -0000", "", 40.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", "", 0.0), ("Mon, 99 Jan 9999 00:00:00 GMT", "", None),
        ("-5", "", None), ("soon", "", None), ("", "", None), ("\u0665", "", None), ("9" * 400, "", 86_400.0),
        ("1.23456789", "", 1.23456789), ("1e3", "", None), ("nan", "", None), ("inf", "", None), ("3, 5", "", None),
        (None, "slow down, try again in 7 seconds", 7.0), ("12", "try again in 7 seconds", 12.0),
        ("soon", "Try again in 7.5s.", 7.5), (None, "please wait 2 minutes", 120.0),
        (None, "retry after about 3 sec", 3.0), (None, "in 7 songs", None), (None, "", None),
        (None, "try again in 500 ms", 0.5), (None, "come back in 2.5 hours", 9000.0), (None, "wait 1h", 3600.0),
        (None, "wait 99999999 seconds", 86_400.0),
    ],
)  # fmt: skip
def test_the_wait_comes_from_the_header_or_the_text(header: str | None, message: str, wait: float | None) -> None:
    found = refused(429, error(429, message), retry_after=header)
    assert isinstance(found, Busy)
    assert found.retry_after == wait


@pytest.mark.parametrize(
    ("body", "submitted", "read"),
    [
        ({"hello": 1}, AnswerLost, Nonsense),
        ([], AnswerLost, Nonsense),
        (None, AnswerLost, Nonsense),
        ({"code": 200, "data": {}}, AnswerLost, Nonsense),
        ({"code": 1, "data": {"task_id": "T1", "status": "not_started"}}, AnswerLost, Nonsense),
        ({"code": 200, "error": "eh", "data": {"task_id": "T1"}}, AnswerLost, Nonsense),
        ({"code": 7, "success": False, "message": "no"}, InvalidRequest, InvalidRequest),
        ({"code": 200, "error": "no"}, InvalidRequest, InvalidRequest),
    ],
)
def test_a_submission_is_open_unless_vidgo_says_no(
    body: object, submitted: type[VidGoError], read: type[VidGoError]
) -> None:
    assert type(refused(200, body, SUBMIT)) is submitted
    assert type(refused(200, body, COVER)) is submitted
    assert type(refused(200, body, BALANCE)) is read


@pytest.mark.parametrize("code", [None, 0, 200, "0", "200", " 200 ", 200.0])
def test_success_has_many_codes(code: object) -> None:
    body = {"code": code, "error": None, "data": {"task_id": "T1"}}
    assert Answer(201, body, readable=True).ok


@pytest.mark.parametrize(
    "body",
    [
        {"code": 201}, {"code": -1}, {"code": True}, {"code": "ok"}, {"code": [200]}, {"code": 0.5},
        {"code": 1e400}, {"code": "9" * 5000}, {"error": "x"}, {"error": {"message": "x"}}, {"success": False},
    ],
)  # fmt: skip
def test_anything_else_is_no_success(body: dict[str, Any]) -> None:
    answer = Answer(200, {**body, "data": {"task_id": "T1"}}, readable=True)
    assert not answer.ok
    assert not Answer(302, {"code": 200}, readable=True).ok


@pytest.mark.parametrize("empty", [None, "", {}, {"message": None, "type": ""}, False])
def test_an_empty_error_is_no_error(empty: object) -> None:
    assert Answer(200, {"code": 200, "error": empty}, readable=True).ok


@pytest.mark.parametrize("secret", ["sk-live-123", "https://bot.example/callbacks/vidgo/T/s3cr3t"])
def test_a_reason_is_one_short_line_without_secrets(secret: str) -> None:
    words = f"bad\nkey\x1b[31m {secret}\u202e " + "x" * 400 + secret
    found = refusal(Answer(400, {"error": words}, readable=True), COVER, [secret])
    assert found.reason.startswith("bad key [31m [hidden] xxx")
    assert found.reason.isprintable()
    assert len(found.reason) == 300
    assert secret not in f"{found!r}{found}"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("word", ["violat ", "not yet ", "wait ", "in 1 "])
def test_a_very_long_reason_costs_no_time(word: str) -> None:
    for code in (400, 429):
        assert len(refused(code, error(code, word * 150_000, word * 150_000)).reason) == 300


names = st.sampled_from(
    [
        "code",
        "error",
        "message",
        "msg",
        "detail",
        "data",
        "task_id",
        "taskId",
        "type",
        "success",
        "error_message",
        "loc",
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=15)
    | st.sampled_from(["already", "not finished", "try again in 7 s", "credits", 10**400, 400, 409, 200]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=6),
    max_leaves=25,
)  # fmt: skip


@given(values, st.integers(100, 599), st.sampled_from(EVERY), st.none() | st.text(), st.booleans())
def test_any_answer_gives_an_error_with_a_reason(
    body: Any, status: int, question: Question, retry_after: str | None, readable: bool
) -> None:
    answer = Answer(status, body, readable, retry_after)
    assert answer.ok in {True, False}
    found = refusal(answer, question, ["secret"])
    assert 0 < len(found.reason) <= 300
    assert found.reason.isprintable()


# The version of the model


@pytest.mark.parametrize("question", [Question.SUBMIT, Question.SUBMIT_ON_SOURCE])
@pytest.mark.parametrize("status", [400, 404, 422])
@pytest.mark.parametrize(
    "words",
    [
        "input.mv is not a valid version",
        "Model version not supported",
        "the model V6 has been retired",
        "unsupported model",
        "v6 is not available for this account",
        "model not found",
    ],
)
def test_a_refusal_that_names_the_version_is_one_of_its_own(question: Question, status: int, words: str) -> None:
    answer = Answer(status, error(status, words), readable=True)
    assert type(refusal(answer, question, version="V6")) is VersionRefused
    # What has no version cannot be refused for it.
    assert type(refusal(answer, question)) is not VersionRefused


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (400, "our moderation model found prohibited words", ""),
        (400, "prompt is limited to 3000 characters for V6", "content_too_long_error"),
        (400, "the source task is not finished", ""),
        (402, "no credits for this model", ""),
        (503, "model unavailable", "service_error"),
    ],
)
def test_other_refusals_stay_what_they_are(status: int, words: str, kind: str) -> None:
    answer = Answer(status, error(status, words, kind), readable=True)
    assert type(refusal(answer, Question.SUBMIT, version="V6")) is type(refusal(answer, Question.SUBMIT))
