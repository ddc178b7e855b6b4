from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, String

from bot.vidgo import Nonsense, Report, ResultFile, Status, VidGoError, parse_callback
from bot.vidgo.reading import MAX_URL, http_url, identifier, shown_url
from bot.vidgo.results import Unusable
from storage.schema import files, tasks

ONE, TWO = "https://cdn.example.net/c/one.png", "https://cdn.example.net/c/two.png"
MP3, WAV = "https://cdn.example.net/a/one.mp3", "https://cdn.example.net/a/one.wav"


def read(**fields: Any) -> Report:
    return parse_callback({"code": 200, "data": {"task_id": "COV0000000000001", "status": "finished", **fields}})


def pictures(entry: object) -> tuple[str, ...]:
    report = read(files=[entry])
    assert not report.has_audio
    return report.files[0].image_urls if report.files else ()


def objects(*urls: str) -> list[dict[str, str]]:
    return [{"file_url": url, "file_type": "image"} for url in urls]


@pytest.mark.parametrize(
    "entry",
    [
        {"generate_cover": json.dumps(objects(ONE, TWO))},
        {"generate_cover": json.dumps(json.dumps(objects(ONE, TWO)))},
        {"generate_cover": json.dumps(json.dumps(json.dumps(objects(ONE, TWO))))},
        {"generate_cover": objects(ONE, TWO)},
        {"generate_cover": [ONE, TWO]},
        {"generate_cover": json.dumps([ONE, TWO])},
        {"generate_cover": [json.dumps({"file_url": ONE}), {"url": TWO}]},
        {"generate_cover": {"images": [ONE, TWO]}},
        {"generate_cover": json.dumps({"images": objects(ONE, TWO)})},
        {"generate_cover": [[ONE], [TWO, ONE]]},
        {"generate_cover": ONE, "image_url": TWO},
        {"image_url": [ONE, "", None, ONE, TWO]},
        {"images": [ONE, TWO]},
        {"imageUrls": [ONE, TWO]},
        {"image_urls": [{"image_url": ONE}, {"file_url": TWO}]},
        {"generate_cover": None, "image_url": f" {ONE} ", "images": [TWO]},
        {"file_url": ONE, "file_type": "image/png", "url": TWO},
        json.dumps({"image_url": [ONE, TWO]}),
    ],
)
def test_pictures_are_found_in_every_form(entry: object) -> None:
    assert pictures(entry) == (ONE, TWO)


@pytest.mark.parametrize(
    "entry", [{"generate_cover": ONE}, {"generate_cover": objects(ONE)[0]}, {"image_url": ONE}, ONE]
)
def test_a_single_picture_is_one_picture(entry: object) -> None:
    assert pictures(entry) == (ONE,)


@pytest.mark.parametrize(
    "entry",
    [
        None, 7, True, [], {}, "", "soon", {"generate_cover": "["}, {"generate_cover": "not json"},
        {"generate_cover": "[" * 100_000}, {"generate_cover": 5}, {"image_url": {"a": {"b": 1}}},
        {"image_url": "ftp://h/x.png"}, {"image_url": "javascript:alert(1)"}, {"image_url": "/c/one.png"},
        {"image_url": "https://"}, {"image_url": "https://[::1"}, {"image_url": "https://h:99999/x.png"},
        {"image_url": "https://h h/a.png"}, {"image_url": "https://h/\n.png"}, {"image_url": "https://h/\ud800.png"},
        {"image_url": "https://h/" + "x" * MAX_URL}, {"video_url": "https://h/a.mp4"}, {"url": "https://h/a.mp4"},
        {"page_url": "https://h/song/5"}, {"stream_url": "https://h/stream"}, {"mp3": "https://h/a.mp3"},
        {"title": "Harbour Lights", "text": "[Verse]"},
    ],
)  # fmt: skip
def test_an_entry_without_a_usable_url_is_left_out(entry: object) -> None:
    report = read(files=[entry])
    assert report.files == ()
    assert not report.usable
    assert report.status is Status.FINISHED


@pytest.mark.parametrize(
    ("url", "read_as"),
    [
        ("https://h.example/a b.mp3", "https://h.example/a%20b.mp3"),
        ("https://h.example/ночь.mp3?s=é", "https://h.example/%D0%BD%D0%BE%D1%87%D1%8C.mp3?s=%C3%A9"),
        ("https://h.example/a%2Fb%20c.mp3?sig=a%3D%7E+b|{}", "https://h.example/a%2Fb%20c.mp3?sig=a%3D%7E+b|{}"),
        ("http://http/http x", "http://http/http%20x"),
        ("HTTPS://h.example:8443/x y?z#w v", "HTTPS://h.example:8443/x%20y?z#w%20v"),
        ("https://b\u00fccher.example/\u200b", "https://b\u00fccher.example/%E2%80%8B"),
        *((f"https://h.example/{'x' * n}", f"https://h.example/{'x' * n}") for n in (3000, MAX_URL - 18)),
        *((bad, None) for bad in ("https://h.example/" + "é" * 3000, "https://h\u2003.example/x", "https://h/\x7f")),
    ],
)
def test_what_no_url_holds_is_encoded_and_nothing_else_is_touched(url: str, read_as: str | None) -> None:
    assert http_url(url) == read_as
    report = read(files=[{"audio_url": url}])
    assert [file.audio_url for file in report.files] == ([] if read_as is None else [read_as])
    assert report.hides_audio == (read_as is None)


NOTHINGS: list[object] = [None, "", "  ", "null", "None", "undefined", [], {}, 0, False]


@pytest.mark.parametrize(
    ("entry", "kinds"),
    [
        ({"audio_url": "https://h/a\n.mp3", "image_url": ONE}, ["audio"]),
        ({"audio_url": "/relative.mp3", "wav_url": "ftp://h/x.wav"}, ["audio", "audio"]),
        ({"audio_url": "x" * 10_000}, ["audio"]),
        ({"audio_url": {"href": MP3}}, ["audio"]),
        ({"url": "//cdn.example.net/listen"}, ["audio"]),
        ({"url": "ftp://h/a.png"}, ["image"]),
        ("ftp://h/a.flac", ["audio"]),
        ({"generate_cover": json.dumps([{"file_url": "/c/one.png"}, {"file_url": TWO}])}, ["image"]),
        ({"generate_cover": [{"file_url": "ftp://h/x", "file_type": "audio"}]}, ["audio"]),
        *(({"audio_url": nothing}, []) for nothing in NOTHINGS),
        ("soon", []),
        ({"generate_cover": '[{"file_url": "https://h/a'}, []),
    ],
)
def test_what_is_there_and_unusable_is_told_apart_from_what_is_not_there(entry: object, kinds: list[str]) -> None:
    report = read(files=[entry])
    assert [one.kind for one in report.unusable] == kinds
    assert report.hides_audio == ("audio" in kinds)
    assert not report.has_audio


def test_audio_that_can_be_had_is_not_hidden_by_other_that_cannot() -> None:
    report = read(files=[{"audio_url": "ftp://h/x.mp3", "image_url": ONE}, {"audio_url": MP3}])
    assert report.has_audio
    assert not report.hides_audio
    assert report.unusable == (Unusable("audio", "ftp://h/x.mp3"),)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("https://user:secret@h.example/a\nb.mp3?sig=secret#secret", "https://h.example/a b.mp3"),
        ("ftp://secret@h", "ftp://h"),
        ("/a/b?secret", "/a/b"),
        ("https://h.example/" + "x" * 9000, "https://h.example/" + "x" * 181 + "…"),
        (7, "int"),
    ],
)
def test_an_unusable_address_is_logged_without_what_may_be_secret(value: object, shown: str) -> None:
    assert shown_url(value) == shown


def test_a_song_is_read_whole() -> None:
    entry = {
        "audio_id": "0b6f", "audio_url": MP3, "image_url": ONE, "title": "Harbour Lights", "tags": "folk",
        "duration": 182.4, "prompt": "",
    }  # fmt: skip
    report = read(files=[entry, {**entry, "audio_id": "1c70", "audio_url": f"{MP3}?2", "duration": 175}])
    assert report.files[0] == ResultFile(MP3, (ONE,), "Harbour Lights", "folk", 182.4, "0b6f")
    assert report.files[1].duration == 175.0
    assert report.has_audio
    assert report.has_images
    assert report.usable


@pytest.mark.parametrize(
    ("entry", "audio"),
    [
        ({"wav_url": WAV}, WAV),
        ({"audio_url": MP3, "wav_url": WAV}, MP3),
        ({"audio_url": "", "wav_url": WAV}, WAV),
        ({"audioUrl": MP3}, MP3),
        ({"audio_url": [MP3]}, MP3),
        ({"audio_url": {"url": MP3}}, MP3),
        ({"audio_url": [{"file_url": MP3, "file_type": "audio"}]}, MP3),
        ({"url": MP3}, MP3),
        ({"file_url": "https://h.example/listen?id=5"}, "https://h.example/listen?id=5"),
        ({"generate_cover": [{"file_url": "https://h.example/x", "file_type": "audio"}]}, "https://h.example/x"),
        ({"generate_cover": json.dumps([{"audio_url": MP3}])}, MP3),
        ({"generate_cover": [MP3]}, MP3),
        (MP3, MP3),
    ],
)
def test_audio_is_found_in_every_form(entry: object, audio: str) -> None:
    file = read(files=[entry]).files[0]
    assert (file.audio_url, file.image_urls) == (audio, ())


@pytest.mark.parametrize(
    ("entry", "audio", "images"),
    [
        ({"song_url": "https://h/a.mp3"}, "https://h/a.mp3", ()),
        ({"mp3_url": "https://h/a.MP3?x", "coverUrl": "https://h/a.jpeg"}, "https://h/a.MP3?x", ("https://h/a.jpeg",)),
        ({"stream_url": "https://h/s.mp3", "audio_url": "https://h/a.mp3"}, "https://h/a.mp3", ()),
        ({"thumbnail_url": "https://h/t.png", "image_url": "https://h/a.png"}, None, ("https://h/a.png",)),
    ],
)
def test_an_address_of_another_name_is_taken_where_no_known_name_is(
    entry: dict[str, str], audio: str | None, images: tuple[str, ...]
) -> None:
    [file] = read(files=[entry]).files
    assert (file.audio_url, file.image_urls) == (audio, images)


def test_an_address_that_is_named_again_is_no_other_version() -> None:
    song = {"audio_url": "https://h/a.mp3", "image_url": "https://h/a.png"}
    other = {"audio_url": "https://h/b.mp3", "image_url": "https://h/a.png"}
    assert [file.audio_url for file in read(files=[song, song, other, song]).files] == [
        "https://h/a.mp3",
        "https://h/b.mp3",
    ]
    assert read(files=[song, other]).files[1].image_urls == ("https://h/a.png",)
    pictures_alone = [{"image_url": "https://h/a.png"}, {"image_url": ["https://h/a.png", "https://h/b.png"]}]
    assert [file.image_urls for file in read(files=pictures_alone).files] == [
        ("https://h/a.png",),
        ("https://h/b.png",),
    ]


@pytest.mark.parametrize("files", [None, "", [], {}, 3, "null", [None]])
def test_missing_files_are_no_files(files: object) -> None:
    assert read(files=files).files == ()


@pytest.mark.parametrize("files", [{"image_url": ONE}, json.dumps([{"image_url": ONE}]), ONE])
def test_files_that_are_no_list_still_count(files: object) -> None:
    assert read(files=files).files == (ResultFile(image_urls=(ONE,)),)


@pytest.mark.parametrize("column", [tasks.c.vidgo_id, files.c.audio_id])
def test_an_id_is_none_that_the_database_would_not_take(column: Column[str]) -> None:
    assert isinstance(column.type, String)
    longest = column.type.length or 0
    assert identifier("z" * longest) is not None
    assert identifier("z" * (longest + 1)) is None
    assert identifier(int("9" * longest)) == "9" * longest
    assert identifier(int("9" * (longest + 1))) is None


@pytest.mark.parametrize("key", ["audio_id", "audioId", "file_id", "fileId", "song_id", "songId", "id"])
def test_the_audio_id_has_many_names(key: str) -> None:
    assert read(files=[{"audio_url": MP3, key: "x1"}]).files[0].audio_id == "x1"
    assert read(files=[{"audio_url": MP3, key: 12}]).files[0].audio_id == "12"


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        ("duration", "182.4", 182.4), ("duration", -1, None), ("duration", True, None), ("duration", "NaN", None),
        ("duration", float("inf"), None), ("duration", 10**400, None), ("duration", [1], None),
        ("duration", "9" * 5000, None), ("duration", "long", None),
        ("title", None, ""), ("title", 1984, "1984"), ("title", ["x"], ""), ("title", "a\x1b\nb", "a\x1b\nb"),
        ("title", "x" * 10_000, "x" * 300), ("title", "a\0\ud800", "a\N{REPLACEMENT CHARACTER}?"),
        ("tags", ["folk", 3, "sea"], "folk, sea"), ("tags", "y" * 10_000, "y" * 1000),
        ("audio_id", "z" * 300, None), ("audio_id", "", None), ("audio_id", True, None), ("audio_id", 10**400, None),
    ],
)  # fmt: skip
def test_values_of_the_wrong_type_or_size_do_no_harm(key: str, value: object, kept: object) -> None:
    assert getattr(read(files=[{"audio_url": MP3, key: value}]).files[0], key) == kept


def test_lists_have_a_length_that_can_be_shown() -> None:
    many = [f"https://h.example/{n}.png" for n in range(500)]
    assert len(read(files=[{"images": many}]).files[0].image_urls) == 20
    assert len(read(files=many).files) == 20


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("not_started", Status.WAITING), ("queued", Status.WAITING), ("pending", Status.WAITING),
        ("submitted", Status.WAITING),
        ("running", Status.RUNNING), ("processing", Status.RUNNING), ("started", Status.RUNNING),
        ("in_progress", Status.RUNNING), ("In Progress", Status.RUNNING), ("in-progress", Status.RUNNING),
        ("finished", Status.FINISHED), ("FINISHED", Status.FINISHED), ("completed", Status.FINISHED),
        ("complete", Status.FINISHED), ("success", Status.FINISHED), ("succeeded", Status.FINISHED),
        ("done", Status.FINISHED),
        ("failed", Status.FAILED), ("error", Status.FAILED), ("cancelled", Status.FAILED),
        ("canceled", Status.FAILED), ("expired", Status.FAILED), ("timeout", Status.FAILED),
        ("simmering", Status.UNKNOWN), (3, Status.UNKNOWN),
    ],
)  # fmt: skip
def test_statuses(word: object, status: Status) -> None:
    report = read(status=word)
    assert (report.status, report.raw_status) == (status, str(word))


@pytest.mark.parametrize(
    "body",
    [
        {"code": 200, "data": {"task_id": "T1", "status": "failed", "files": [], "error_message": "no\nway"}},
        {"task_id": "T1", "status": "failed", "files": [], "error_message": "no way"},
        {"data": {"taskId": "T1", "status": "error", "error": {"message": "no way"}}},
        {"data": json.dumps({"task_id": "T1", "status": "failed", "error": "no way"})},
        json.dumps({"task_id": "T1", "status": "Failed", "error_message": {"message": " no  way "}}),
        {"task_id": "T1", "status": "failed", "error_message": "no way", "data": {"something": "else"}},
    ],
)
def test_callbacks_come_wrapped_or_flat(body: object) -> None:
    report = parse_callback(body)
    assert (report.task_id, report.status, report.error_message) == ("T1", Status.FAILED, "no way")
    assert not report.usable


@pytest.mark.parametrize(
    "body",
    [
        None, True, 1.5, "", "hello", "[]", [], [{"task_id": "T1", "status": "finished"}], {}, {"data": None},
        {"code": 200, "data": {"task_id": "T1"}}, {"code": 200, "data": {"status": "finished"}},
        {"task_id": "", "status": "finished"}, {"task_id": "x" * 300, "status": "finished"},
        {"task_id": ["T1"], "status": "finished"}, {"task_id": "T1", "status": {"a": 1}},
        {"task_id": "T1", "status": ""}, {"task_id": "a sentence of words", "status": "finished"},
    ],
)  # fmt: skip
def test_what_is_no_result_is_nonsense(body: object) -> None:
    with pytest.raises(Nonsense):
        parse_callback(body)


characters = st.characters(codec=None)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(characters, max_size=20)
    | st.sampled_from([ONE, MP3, "finished", "T1", "[]", '{"file_url": 3}', '"[[[]]]"', "https://[", 10**500])
)  # fmt: skip
keys = st.text(characters, max_size=5) | st.sampled_from(
    [
        "code",
        "data",
        "task_id",
        "status",
        "files",
        "error",
        "error_message",
        "message",
        "detail",
        "generate_cover",
        "image_url",
        "images",
        "file_url",
        "file_type",
        "audio_url",
        "duration",
        "title",
        "tags",
        "audio_id",
        "id",
        "url",
    ]
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=6), max_leaves=40
)


@given(json_values, json_values)
def test_no_json_whatever_raises_anything_but_a_vidgo_error(body: Any, files: Any) -> None:
    for candidate in (body, {"task_id": "T1", "status": "finished", "files": files}, {"data": body}):
        try:
            report = parse_callback(candidate)
        except VidGoError:
            continue
        for file in report.files:
            urls = [file.audio_url, *file.image_urls] if file.audio_url else list(file.image_urls)
            assert urls
            assert all(http_url(url) == url for url in urls)
            file.title.encode()
            file.tags.encode()
