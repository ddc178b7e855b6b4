"""Compose small pieces of real music as MP3 or WAV, the same bytes for the same words.

The *tune* (chords and melody) comes from the title alone, the *performance* (key, tempo, instruments, drums)
from the style and the seed. So a title played in another style is recognisably the same song: a true cover.
"""

from __future__ import annotations

import hashlib
import io
import math
import random
import wave
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias

import av
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Format: TypeAlias = Literal["mp3", "wav"]
Samples: TypeAlias = "NDArray[np.float32]"  # four times as quick as with twice the bits

RATE = 44_100
CHANNELS = 2
_MP3_FRAME = 1152  # samples in one MPEG-1 Layer III frame
_SECTION_BARS = 4
_LOOP_BARS = 2 * _SECTION_BARS
_TAIL = 3 * RATE  # the last notes and the room ring on this long
_ID3_HEADER = 10


@dataclass(frozen=True)
class Voice:
    """An additive instrument: levels of its partials, and rates per second at which it fades and darkens."""

    partials: tuple[float, ...]
    attack: float = 0.005
    decay: float = 1.0
    darken: float = 0.0
    detune: float = 0.0
    vibrato: float = 0.0
    drive: float = 0.0


@dataclass(frozen=True)
class Genre:
    """How a style plays any tune; `words` are what recognises it in a style text."""

    words: tuple[str, ...]
    bpm: int
    scale: str
    lead: str
    chords: str
    bass: str
    drums: str
    comping: str
    swing: float = 0.0
    seventh: bool = False


@dataclass(frozen=True)
class Section:
    """Four bars of a tune: a chord root (scale degree) a bar, notes as (eighth, eighths, degree)."""

    chords: tuple[int, ...]
    notes: tuple[tuple[int, int, int], ...]


SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}

VOICES = {
    "piano": Voice((1, 0.55, 0.32, 0.2, 0.12, 0.08, 0.05), 0.004, 1.8, 1.0),
    "keys": Voice((1, 0.12, 0.3, 0.05, 0.12), 0.006, 1.2, 0.8, detune=4, vibrato=0.02),
    "pluck": Voice((1, 0.8, 0.6, 0.45, 0.3, 0.22, 0.15, 0.1), 0.002, 2.2, 1.6, detune=3),
    "saw": Voice(tuple(1 / k for k in range(1, 15)), 0.006, 0.8, 0.35, detune=7),
    "guitar": Voice(tuple(1 / k for k in range(1, 11)), 0.008, 0.4, 0.3, detune=5, vibrato=0.05, drive=3.0),
    "pad": Voice((1, 0.5, 0.33, 0.16, 0.08), 0.3, 0.1, detune=9, vibrato=0.02),
    "strings": Voice(tuple(1 / k**1.2 for k in range(1, 11)), 0.12, 0.1, detune=8, vibrato=0.06),
    "organ": Voice((1, 0.7, 0.1, 0.5, 0.0, 0.3, 0.0, 0.2), 0.012, 0.05, detune=3, vibrato=0.03),
    "reed": Voice((1, 0.1, 0.55, 0.08, 0.3, 0.05, 0.16), 0.035, 0.2, detune=2, vibrato=0.1),
    "bell": Voice((1, 0.05, 0.4, 0.35, 0.0, 0.2, 0.0, 0.1), 0.002, 1.6, 0.7, detune=2),
    "bass": Voice((1, 0.5, 0.25, 0.12, 0.06), 0.006, 1.4, 0.8),
    "sub": Voice((1, 0.35, 0.08), 0.008, 0.5),
    "growl": Voice(tuple(1 / k for k in range(1, 9)), 0.005, 0.9, 0.8, drive=1.5),
}

# Kick, snare and hat on sixteen steps a bar.
DRUMS = {
    "none": ("", "", ""),
    "soft": ("x.......x.......", "", "..x...x...x...x."),
    "pop": ("x.....x.x.......", "....x.......x...", "x.x.x.x.x.x.x.x."),
    "rock": ("x.x.....x.x..x..", "....x.......x..x", "x.x.x.x.x.x.x.x."),
    "four": ("x...x...x...x...", "....x.......x...", "..x...x...x...xx"),
    "swing": ("x.......x.......", "....x.......x...", "x...x.x.x...x.x."),
    "hop": ("x......x..x.....", "....x.......x...", "x.xxx.x.x.x.x.xx"),
    "reggae": ("........x.......", "........x.......", "x.x.x.x.x.x.x.x."),
    "latin": ("x..x....x..x....", "..x..x....x..x..", "x.xxx.xxx.xxx.xx"),
}

# The steps of a bar on which the chord is struck.
COMPING = {
    "held": "x...............",
    "halves": "x.......x.......",
    "pulse": "x.x.x.x.x.x.x.x.",
    "push": "x..x..x...x..x..",
    "off": "..x...x...x...x.",
}

GENRES = (
    Genre(("jazz", "swing", "lounge"), 126, "dorian", "reed", "keys", "bass", "swing", "push", 0.16, True),
    Genre(("lofi", "hip", "rap"), 82, "dorian", "keys", "keys", "sub", "hop", "halves", 0.1, True),
    Genre(("techno", "house", "dance", "edm"), 126, "minor", "saw", "pad", "growl", "four", "off"),
    Genre(("synth", "wave", "retro", "80s"), 108, "minor", "saw", "pad", "growl", "four", "held"),
    Genre(("metal", "punk", "rock", "grunge"), 148, "minor", "guitar", "guitar", "growl", "rock", "pulse"),
    Genre(("reggae", "ska", "dub"), 84, "mixolydian", "reed", "organ", "bass", "reggae", "off"),
    Genre(("latin", "salsa", "samba", "tango"), 112, "minor", "bell", "piano", "bass", "latin", "push"),
    Genre(("ambient", "lullaby", "calm", "sleep"), 66, "major", "bell", "pad", "sub", "none", "held"),
    Genre(("classical", "cinematic"), 96, "minor", "strings", "strings", "strings", "none", "held"),
    Genre(("piano", "ballad", "slow", "sad"), 76, "major", "piano", "piano", "sub", "soft", "halves"),
    Genre(("folk", "acoustic", "country", "shanty"), 104, "major", "pluck", "pluck", "bass", "soft", "push"),
    Genre(("pop", "indie", "happy", "funk"), 116, "major", "bell", "piano", "bass", "pop", "pulse"),
)  # fmt: skip

_PROGRESSIONS = (
    (0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 5, 4),
    (0, 2, 3, 4), (3, 0, 4, 5), (0, 4, 3, 0), (5, 4, 3, 4),
)  # fmt: skip
_RHYTHMS = ((2, 2, 2, 2), (3, 1, 2, 2), (2, 1, 1, 4), (4, 2, 2), (3, 3, 2), (1, 1, 2, 4), (2, 2, 1, 1, 2), (3, 1, 4))


@lru_cache(maxsize=64)
def compose(
    title: str,
    *,
    style: str = "",
    seconds: float = 10.0,
    seed: int = 0,
    fmt: Format = "mp3",
    bit_rate: int = 128_000,
) -> bytes:
    """Compose a stereo piece of exactly `seconds` at 44.1 kHz; the same arguments give the same bytes.

    `bit_rate` (bits per second, constant) concerns MP3 only. Raises `ValueError` if `seconds` is not positive.
    """
    if seconds <= 0:
        raise ValueError("a piece of music needs a length")
    length = round(seconds * RATE)
    loop = _render(title, style, seed, length)
    return _mp3(loop, length, bit_rate, title) if fmt == "mp3" else _wav(_arrange(loop, length))


@lru_cache(maxsize=4)
def compose_of_size(title: str, size: int, *, style: str = "", seed: int = 0, fmt: Format = "mp3") -> bytes:
    """Compose a piece whose file has `size` bytes and decodes over `seconds_for_size(size, fmt)`.

    An MP3 (320 kbit/s) has exactly that size, a WAV is at most three bytes short.
    Raises `ValueError` below 16 KiB.
    """
    length = round(seconds_for_size(size, fmt) * RATE)
    loop = _render(title, style, seed, length)
    if fmt == "wav":
        return _wav(_arrange(loop, length))
    body = _mp3(loop, length, 320_000, None)
    padding = size - len(body) - _ID3_HEADER
    # An ID3v2.4 tag of nothing but padding, its size in four bytes of seven bits (id3.org, section 3.1).
    syncsafe = bytes((padding >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00\x00" + syncsafe + bytes(padding) + body


def seconds_for_size(size: int, fmt: Format = "mp3") -> float:
    """Return how long (seconds) the piece in a file of `size` bytes made by `compose_of_size` is."""
    if size < 16_384:
        raise ValueError("no piece of music fits into so little")
    if fmt == "wav":
        return (size - 44) // (2 * CHANNELS) / RATE
    # Three frames less: the information frame, the encoder's delay and the tag.
    return ((size - _ID3_HEADER) * 8 / 320_000 * RATE // _MP3_FRAME - 3) * _MP3_FRAME / RATE


def genre_of(style: str, title: str = "") -> Genre:
    """Return the genre whose word stands first in `style`; for a style without one, pick one by the words."""
    text = style.lower()
    found = [(text.index(word), genre) for genre in GENRES for word in genre.words if word in text]
    if found:
        return min(found, key=lambda hit: hit[0])[1]
    return _rng("genre", text or title).choice(GENRES)


def _rng(*words: object) -> random.Random:
    return random.Random(hashlib.sha256("\0".join(map(str, words)).encode()).digest())


def _section(rng: random.Random) -> Section:
    chords = rng.choice(_PROGRESSIONS)
    first, second = rng.sample(_RHYTHMS, 2)
    notes: list[tuple[int, int, int]] = []
    degree = rng.choice((2, 4, 7))
    for bar, (rhythm, root) in enumerate(zip((first, second, first, (2, 2, 4)), chords, strict=True)):
        at = bar * 8
        for length in rhythm:
            if at % 4 == 0:  # strong beats rest on the chord, the others walk
                goal = degree + rng.choice((-1, 0, 1, 2))
                tones = [root + third + octave for third in (0, 2, 4) for octave in (-7, 0, 7)]
                degree = min((tone for tone in tones if -1 <= tone <= 10), key=lambda tone: abs(tone - goal))
            else:
                degree = min(10, max(-1, degree + rng.choice((-2, -1, -1, 1, 1, 2))))
            notes.append((at, length, degree))
            at += length
    return Section(chords, tuple(notes))


def _time(seconds: float) -> Samples:
    return np.arange(int(seconds * RATE), dtype=np.float32) / np.float32(RATE)


@lru_cache(maxsize=256)  # a piece plays most of its tones several times
def _tone(voice: Voice, pitch: float, seconds: float, cents: float, heard: int) -> Samples:
    """Return a tone of `seconds`, or what is `heard` of it: its first so many samples."""
    frequency = 440.0 * 2 ** ((pitch - 69 + cents / 100) / 12)
    t = _time(seconds)
    length, t = len(t), t[:heard]
    cycles = np.arange(len(t)) * (frequency / RATE)
    phase = (2 * math.pi * (cycles - np.floor(cycles))).astype(np.float32)
    if voice.vibrato:
        phase += voice.vibrato * np.minimum(t / 0.4, 1) * np.sin(2 * math.pi * 5.2 * t)
    darken = np.exp(-voice.darken * t)
    level = np.ones_like(t)
    before, now, twice = np.zeros_like(t), np.sin(phase), 2 * np.cos(phase)
    out = np.zeros_like(t)
    for number, partial in enumerate(voice.partials, 1):
        if frequency * number > 15_000:
            break
        out += partial * level * now
        before, now = now, twice * now - before  # sin((k+1)x) from sin(kx): one sine for all partials
        level *= darken
    if voice.drive:
        out = np.tanh(voice.drive * out)
    out *= np.exp(-voice.decay * t) * np.minimum(t / voice.attack, 1)
    release = min(length, int(0.06 * RATE))
    begins = min(length - release, len(t))
    out[begins:] *= np.linspace(1, 0, release, dtype=np.float32)[: len(t) - begins]
    return out


def _drum(kind: int, noise: np.random.Generator) -> Samples:
    t = _time((0.32, 0.22, 0.06)[kind])
    hiss: Samples = noise.standard_normal(len(t), np.float32)
    drum: Samples
    if kind == 0:
        drum = np.sin(2 * math.pi * (48 * t + 3.2 * (1 - np.exp(-t * 32)))) * np.exp(-t * 11)
    elif kind == 1:
        drum = 0.35 * hiss * np.exp(-t * 22) + 0.5 * np.sin(2 * math.pi * 190 * t) * np.exp(-t * 28)
    else:
        drum = 0.25 * np.diff(hiss, prepend=np.float32(0)) * np.exp(-t * 70)
    return drum


def _lay(bus: Samples, sound: Samples, at: int, level: float, pan: float = 0.0) -> None:
    end = min(bus.shape[1], at + len(sound))
    bus[0, at:end] += sound[: end - at] * level * (1 - pan)
    bus[1, at:end] += sound[: end - at] * level * (1 + pan)


def _render(title: str, style: str, seed: int, length: int) -> Samples:
    """Return one pass of the piece, (2, samples): all of it if it is short, else a seamless loop."""
    genre, tune, taste = genre_of(style, title), _rng("tune", title), _rng("play", title, style, seed)
    sections = (_section(tune), _section(tune))
    scale, tonic = SCALES[genre.scale], 57 + taste.randrange(-4, 6)
    sixteenth = 60 / (genre.bpm * taste.uniform(0.95, 1.05)) / 4
    bars = min(_LOOP_BARS, math.ceil(length / (16 * sixteenth * RATE)))
    # A whole number of MP3 frames, so that the encoded loop can be repeated frame by frame.
    period = round(bars * 16 * sixteenth * RATE / _MP3_FRAME) * _MP3_FRAME
    dry, wet = (np.zeros((2, period + _TAIL), np.float32) for _ in range(2))
    # What begins later than a short piece ends is not heard, nor made; a loop's last notes ring on into its first.
    audible = length if length <= period else period + _TAIL
    noise = np.random.default_rng(taste.randrange(2**32))
    kit = [_drum(kind, noise) for kind in range(3)]

    def place(step: float) -> int:
        late = genre.swing * 2 if step % 4 == 2 else 0.0
        return int((step + late) * sixteenth * RATE)

    def pitch(degree: int) -> int:
        return tonic + scale[degree % 7] + 12 * (degree // 7)

    def play(name: str, note: float, at: int, steps: float, level: float, pan: float) -> None:
        voice = VOICES[name]
        seconds, heard = steps * sixteenth + 0.05, audible - at
        if heard <= 0:
            return
        for side in (-1, 1) if voice.detune else (0,):
            sound = _tone(voice, note, seconds, side * voice.detune, min(heard, int(seconds * RATE)))
            _lay(wet, sound, at, level / (2 if side else 1), pan + 0.5 * side)

    for bar in range(bars):
        section, inside = sections[bar // _SECTION_BARS], bar % _SECTION_BARS
        root, start = section.chords[inside], bar * 16
        thirds = (0, 2, 4, 6) if genre.seventh else (0, 2, 4)
        strikes = [step for step, mark in enumerate(COMPING[genre.comping]) if mark == "x"]
        for step, after in zip(strikes, [*strikes[1:], 16], strict=True):
            for third in thirds:
                note = pitch((root + third) % 7)
                play(genre.chords, note, place(start + step), after - step, 0.11, 0.0)
        for step, rise in ((0, 0), (6, 0), (8, 4), (12, 0)) if genre.drums != "none" else ((0, 0),):
            low = pitch(root % 7 + rise) - 24
            play(
                genre.bass,
                low if low >= 31 else low + 12,
                place(start + step),
                4 if genre.drums != "none" else 15,
                0.42,
                0.0,
            )
        for at, steps, degree in section.notes:
            if at // 8 == inside and (at % 8 == 0 or taste.random() > 0.06):
                note = pitch(degree) + 12
                loudness = 0.3 * taste.uniform(0.85, 1.0)
                play(genre.lead, note, place(bar // 4 * 64 + at * 2), steps * 2, loudness, 0.12)
        for kind, steps_text in enumerate(DRUMS[genre.drums]):
            for step in (step for step, mark in enumerate(steps_text) if mark == "x"):
                _lay(dry, kit[kind], place(start + step), (0.75, 0.6, 0.4)[kind], (0.0, 0.08, -0.25)[kind])

    return _mix(dry, wet, int(3 * sixteenth * RATE), period, length)


def _mix(dry: Samples, wet: Samples, echo: int, period: int, length: int) -> Samples:
    """Return both tracks together, (2, samples), with an echo after so many samples, as loud as it may be."""
    for times, level in ((1, 0.22), (2, 0.09)):  # crossing sides makes the room wide
        dry[:, echo * times :] += level * wet[:: (-1) ** times, : wet.shape[1] - echo * times]
    mix: Samples = dry + wet
    if length > period:
        mix[:, :_TAIL] += mix[:, period:]
    mix = mix[:, : min(length, period)]
    mix = np.tanh(1.1 * mix / max(float(np.percentile(np.abs(mix), 99.5)), 1e-9))
    mix *= 0.89 / float(np.abs(mix).max())
    return mix


def _arrange(loop: Samples, length: int, *, passes: int | None = None) -> NDArray[np.int16]:
    """Return (2, samples) of 16 bits: the loop repeated over `length`, faded at both ends.

    With `passes` only so many whole loops are kept before the last, cut one.
    """
    period = loop.shape[1]
    whole, rest = divmod(length, period)
    if passes is not None:
        whole = min(whole, passes)
    pcm = np.tile(loop, (1, whole + 1))[:, : whole * period + rest]
    fade_in, fade_out = int(0.01 * RATE), min(rest or period, int(1.5 * RATE), length // 4)
    pcm[:, :fade_in] *= np.linspace(0, 1, min(fade_in, pcm.shape[1]), dtype=np.float32)
    if fade_out:
        pcm[:, -fade_out:] *= np.linspace(1, 0, fade_out, dtype=np.float32) ** 2
    return np.round(pcm * 32_000).astype(np.int16)


def _wav(pcm: NDArray[np.int16]) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(CHANNELS)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm.T.tobytes())
    return buffer.getvalue()


def _mp3(loop: Samples, length: int, bit_rate: int, title: str | None) -> bytes:
    frames = loop.shape[1] // _MP3_FRAME
    repeats = max(0, length // loop.shape[1] - 2)
    pcm = _arrange(loop, length, passes=2)
    frame = av.AudioFrame.from_ndarray(pcm, format="s16p", layout="stereo")
    frame.sample_rate = RATE
    buffer = io.BytesIO()
    header = {} if title is not None else {"id3v2_version": "0"}
    with av.open(buffer, "w", format="mp3", options=header) as container:
        if title is not None:
            container.metadata["title"] = title
        # Without the bit reservoir every frame stands alone: the loop is encoded twice, the second copied.
        options = {"reservoir": "0", "compression_level": "7", "joint_stereo": "0"}
        stream = container.add_stream("libmp3lame", rate=RATE, layout="stereo", options=options)
        stream.bit_rate = bit_rate
        packets = [*stream.encode(frame), *stream.encode(None)]
        order = [*packets[: 2 * frames], *(packets[frames : 2 * frames] * repeats), *packets[2 * frames :]]
        start = packets[0].pts or 0
        for number, packet in enumerate(order):
            packet.pts = packet.dts = start + number * _MP3_FRAME
            container.mux(packet)
    return buffer.getvalue()
