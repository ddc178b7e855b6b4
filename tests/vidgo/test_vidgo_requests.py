from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.vidgo import CoverArt, CoverAudio, ExtendMusic, GenerateMusic, SubmitRequest, load_request

# The keys of docs.vidgo.ai that this bot uses; some models refuse any other.
DOCUMENTED = {
    "generate-music": {"custom_mode", "instrumental", "mv", "prompt", "style", "title"},
    "extend-music": {"default_param_flag", "audio_id", "mv", "prompt", "style", "title", "continue_at"},
    "upload-and-cover-audio": {
        "upload_url", "custom_mode", "instrumental", "mv", "prompt", "style", "title",
    },
    "generate-music-cover": {"task_id"},
}  # fmt: skip

texts = st.text(max_size=60) | st.text(min_size=450, max_size=600) | st.just("la " * 3000)
versions: Any = st.sampled_from(["V4", "V4_5", "V4_5PLUS", "V4_5ALL", "V5", "V5_5", "V6_WILD"])
requests = st.one_of(
    st.builds(GenerateMusic, texts, st.none() | texts, st.none() | texts, st.booleans(), versions),
    st.builds(
        ExtendMusic,
        st.text(min_size=1, max_size=40),
        st.none() | texts,
        st.none() | texts,
        st.none() | texts,
        st.none() | st.floats(0, 600),
        versions,
    ),
    st.builds(CoverAudio, st.just("https://h.example/a.mp3"), texts, texts, st.none() | texts, st.booleans(), versions),
    st.builds(CoverArt, st.text(min_size=1, max_size=40)),
)


@given(requests)
def test_every_request_keeps_to_the_documented_keys_and_limits(request: SubmitRequest) -> None:
    body = request.input()
    strict = body.get("mv") == "V4"
    simple = body.get("custom_mode") is False
    assert body.keys() <= DOCUMENTED[request.model]
    assert len(body.get("title", "")) <= 80
    assert len(body.get("style", "")) <= (200 if strict else 1000)
    assert len(body.get("prompt", "")) <= (500 if simple else 3000 if strict else 5000)
    json.dumps(body).encode()


@given(requests)
def test_a_request_survives_being_stored_as_json(request: SubmitRequest) -> None:
    assert load_request(request.model, json.loads(json.dumps(request.dump()))) == request


@given(texts, st.none() | texts, st.booleans())
def test_custom_mode_always_has_style_and_title_and_simple_mode_never(
    prompt: str, style: str | None, instrumental: bool
) -> None:
    body = GenerateMusic(prompt, style, None, instrumental).input()
    if body["custom_mode"]:
        assert body["style"]
        assert body["title"]
        assert ("prompt" in body) is not instrumental
    else:
        assert not instrumental, "VidGo refuses instrumentals in simple mode"
        assert body.keys() == {"custom_mode", "instrumental", "mv", "prompt"}


def test_a_bare_prompt_is_a_description_in_simple_mode() -> None:
    assert GenerateMusic("a song about harbour lights", title="Not sent").input() == {
        "custom_mode": False,
        "instrumental": False,
        "mv": "V5",
        "prompt": "a song about harbour lights",
    }


def test_with_a_style_the_prompt_is_the_lyrics() -> None:
    assert GenerateMusic("[Verse]\nLanterns on the water", "folk").input() == {
        "custom_mode": True,
        "instrumental": False,
        "mv": "V5",
        "prompt": "[Verse]\nLanterns on the water",
        "style": "folk",
        "title": "Lanterns on the water",
    }


def test_an_instrumental_is_described_by_its_style_and_has_nothing_to_sing() -> None:
    assert GenerateMusic("rain on a tin roof", "lofi", "Rain", instrumental=True).input() == {
        "custom_mode": True,
        "instrumental": True,
        "mv": "V5",
        "style": "lofi, rain on a tin roof",
        "title": "Rain",
    }


@pytest.mark.parametrize(
    ("prompt", "title"),
    [
        ("[Intro]\n(soft)\n  Hello   there \nmore", "Hello there"),
        ("[Verse 1]", "Untitled"),
        ("word " * 40, "word " * 15 + "word"),
        ("x" * 200, "x" * 80),
    ],
)
def test_a_missing_title_comes_from_the_first_line_that_is_sung(prompt: str, title: str) -> None:
    assert GenerateMusic(prompt, "pop").input()["title"] == title


def test_an_extension_sends_its_own_parameters_only_when_all_are_there() -> None:
    assert ExtendMusic("a-1", prompt="more", continue_at=60.0).input() == {
        "default_param_flag": False,
        "audio_id": "a-1",
        "mv": "V5",
    }
    assert ExtendMusic("a-1", "more", "folk", "Lights", 60.0).input() == {
        "default_param_flag": True,
        "audio_id": "a-1",
        "mv": "V5",
        "prompt": "more",
        "style": "folk",
        "title": "Lights",
        "continue_at": 60,
    }
    assert ExtendMusic("a-1", "more", "folk", "Lights", 60.5).input()["continue_at"] == 60.5


def test_a_restyled_track_is_custom_only_with_lyrics_or_without_voice() -> None:
    url = "https://h.example/a.mp3"
    assert CoverAudio(url, "jazz", "Lights").input() == {
        "upload_url": url,
        "custom_mode": False,
        "instrumental": False,
        "mv": "V5",
        "prompt": "jazz",
    }
    assert CoverAudio(url, "jazz", "Lights", instrumental=True).input() == {
        "upload_url": url,
        "custom_mode": True,
        "instrumental": True,
        "mv": "V5",
        "style": "jazz",
        "title": "Lights",
    }
    sung = CoverAudio(url, "jazz", "", "Lanterns").input()
    assert (sung["custom_mode"], sung["prompt"], sung["title"]) == (True, "Lanterns", "jazz")


def test_only_the_cover_insists_on_a_callback() -> None:
    kinds: list[type[SubmitRequest]] = [GenerateMusic, ExtendMusic, CoverAudio, CoverArt]
    assert [kind.callback_required for kind in kinds] == [False, False, False, True]
    assert [kind.needs_source for kind in kinds] == [False, True, False, True]


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("make-tea", {}),
        ("generate-music-cover", {}),
        ("generate-music-cover", {"task_id": ["x"]}),
        ("generate-music", {"prompt": "x", "mv": 5}),
        ("generate-music", {}),
    ],
)
def test_stored_fields_that_are_no_request_are_a_value_error(model: str, fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"request|validation error"):
        load_request(model, fields)


def test_fields_stored_by_a_later_version_are_ignored() -> None:
    assert load_request("generate-music-cover", {"task_id": "T1", "later": 1}) == CoverArt("T1")
