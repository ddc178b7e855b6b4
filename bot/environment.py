"""Where settings come from, and go to: the environment, and `.env` in the working directory for what is not there."""

from __future__ import annotations

import codecs
import difflib
import io
import os
import re
import stat
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

ALIKE = 0.8
"""From which likeness on, of 1, a name is a misspelt one."""

MOST_NAMES = 500
"""How many names that are no settings are looked at, in the environment and in the file each."""

MOST_LINES = 10
"""How many lines that set nothing are told one by one; a certificate may have been put there."""

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # begins as the next one does
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_ASSIGNED = re.compile(
    r"""(?P<before>\s*(?:export\s+)?)(?P<name>\w+)[^\S\r\n]*(?:=[^\S\r\n]*
    (?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^\r\n]*?))?(?P<after>(?:[^\S\r\n]+\#[^\r\n]*)?\s*)""",
    re.VERBOSE | re.DOTALL,
)
_NAME = re.compile(r"[A-Za-z_][\w.-]{0,99}", re.ASCII)
_UNSEEN = r"[\s\u200b-\u200d\u2060\ufeff]+"
_AROUND = re.compile(rf"\A{_UNSEEN}|{_UNSEEN}\Z")
_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u201e": "\u201c", "\u2018": "\u2019"}


@dataclass(frozen=True, slots=True)
class Environment:
    """What was found: values and where each of them stood, by the settings' names, and what looks like a slip.

    `doubts` is what may be meant as it is.
    """

    values: Mapping[str, str]
    origins: Mapping[str, str]
    hints: list[str]
    doubts: list[str]
    searched: str


def read_environment(known: Collection[str], environ: Mapping[str, str], file: Path) -> Environment:
    """Read the `known` settings, upper or lower case, from `environ` and then from `file`.

    A value that is empty is not set. Raises `OSError` for a file that cannot be read, and `UnicodeError` for one that
    is no text.
    """
    lines, hints = _read_file(file, known)
    searched = f"the environment and {file.absolute()}" + ("" if lines is not None else _absence(file))
    values: dict[str, str] = {}
    origins: dict[str, str] = {}
    others: dict[str, str] = {}
    for origin, found in (("the environment", environ), (file.name, lines or {})):
        for name, raw in found.items():
            setting = name.upper()
            if setting not in known:
                if raw and _NAME.fullmatch(name):
                    others.setdefault(name, origin)
            elif setting not in values and (value := clean_value(raw or "")):
                values[setting], origins[setting] = value, origin
    by_origin = [[one for one in others.items() if one[1] == origin] for origin in ("the environment", file.name)]
    judged = {name: origin for found in by_origin for name, origin in found[:MOST_NAMES]}
    hints.extend(_misspelt(judged, [name for name in known if name not in values]))
    doubts = list(_unknown([name for name, origin in judged.items() if origin == file.name], known, file.name, hints))
    if (more := len(by_origin[1]) - MOST_NAMES) > 0:
        doubts.append(f"{more:,} more names in {file.name} are no settings of Coverbot's")
    if lines is not None and (mode := stat.S_IMODE(file.stat().st_mode)) & stat.S_IRWXO:
        doubts.append(f"{file.name} can be opened by every user of this machine (mode {mode:o}); chmod 600 {file.name}")
    return Environment(values, origins, hints, doubts, searched)


def write_environment(values: Mapping[str, str], file: Path) -> None:
    """Put values into a settings file that its owner alone can read, and leave all else in it as it is.

    Whoever dies meanwhile leaves the old file or the new one. Raises `OSError`, `UnicodeError` for a file that is no
    text, and `ValueError` where the file would not be read as it was meant.
    """
    file = behind(file)
    before = file.stat() if file.exists() else None
    if before is not None and not stat.S_ISREG(before.st_mode):
        raise ValueError("it is no file")
    text = _with_values(decode(file.read_bytes()) if before is not None else "", values)
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(text.encode())
            opened.flush()
            os.fsync(opened.fileno())
        if before is not None and os.geteuid() == 0:  # the bot may run as another user
            os.chown(part, before.st_uid, before.st_gid)
        written = read_environment(list(values), {}, part).values
        if written != dict(values):
            raise ValueError(f"{', '.join(values)} cannot be written into it")
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def behind(file: Path) -> Path:
    """Return what a link leads to, so that the link stays one; raises `ValueError` for one that leads to itself."""
    try:
        return file.resolve()
    except (OSError, RuntimeError):  # the second before Python 3.13
        raise ValueError("it is a link that leads to itself") from None


def _with_values(text: str, values: Mapping[str, str]) -> str:
    """Return a settings file's text with other values, each where the name stands already or else at the end."""
    end = "\r\n" if "\r\n" in text else "\n"
    parts, missing = [], dict(values)
    for binding in parse_stream(io.StringIO(text)):
        original = binding.original.string
        name = (binding.key or "").upper()
        found = _ASSIGNED.fullmatch(original) if name in values and not binding.error else None
        if found is not None:
            original = f"{found['before']}{found['name']}={values[name]}{found['after']}"
            missing.pop(name, None)
        parts.append(original)
    joined = "".join(parts)
    if missing and joined and not joined.endswith("\n"):
        joined += end
    return joined + "".join(f"{name}={value}{end}" for name, value in missing.items())


def clean_value(value: str) -> str:
    """Take off what surrounds a value by accident: spaces, line ends, and quotes that Docker hands on as they are."""
    text = _AROUND.sub("", value)
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        text = _AROUND.sub("", text[1:-1])
    return text


def _read_file(file: Path, known: Collection[str]) -> tuple[dict[str, str | None] | None, list[str]]:
    """Return what a settings file says, None where there is none, and what is wrong with its lines."""
    if file.is_dir() or not file.exists():
        return None, []
    good: list[str] = []
    hints = []
    lines: dict[str, list[int]] = {}
    spelt: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(decode(file.read_bytes()))):
        text = binding.original.string
        line = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
        if not binding.error and (binding.key is None or _is_assigned(binding.key, binding.value)):
            good.append(text)
            if binding.key is not None and (name := binding.key.upper()) in known:
                lines.setdefault(name, []).append(line)
                spelt[name] = binding.key
            continue
        # What else stands in the line may be a secret.
        name = next((word.upper() for word in re.findall(r"\w+", text)[:3] if word.upper() in known), "NAME")
        hints.append(f"line {line} of {file.name} is left out, for it does not read {name}=value")
    if (more := len(hints) - MOST_LINES) > 0:
        hints[MOST_LINES:] = [f"{more:,} more lines of {file.name} are left out, for they do not read NAME=value"]
    for name, found in lines.items():
        if len(found) > 1:
            hints.append(f"{name} stands in lines {', '.join(map(str, found))} of {file.name}; the last one counts")
    text = "".join(good)
    # Looking for references takes a time that grows with the square of the lines.
    values = dotenv_values(stream=io.StringIO(text), interpolate="${" in text)
    return {name: value for name, value in values.items() if spelt.get(name.upper(), name) == name}, hints


def _is_assigned(name: str, value: str | None) -> bool:
    """Return whether a line is NAME=value, and not the end of a key that was broken off, or a key that is alone.

    What such a line holds would be told as a name that is no setting; a key in base64 may end with equals signs.
    """
    return value is not None and _NAME.fullmatch(name) is not None and not re.fullmatch("=+", value)


def _absence(file: Path) -> str:
    """Say that a file is not there, and what is in its place or may have been meant for it."""
    if file.is_dir():  # so Docker makes what it shall mount and does not find
        return ", which is a folder"
    if file.is_symlink():
        return ", which is a link to nothing"
    bare = file.name.removeprefix(".")
    # Editors put an ending behind the name, and some systems take off what is before it.
    for name in (f"{file.name}.txt", bare, f"{bare}.txt"):
        if file.with_name(name).is_file():
            return f", which is not there, but {name} is; rename it to {file.name}"
    return ", which is not there"


def decode(data: bytes) -> str:
    """Return a file's text, whatever an editor has saved it as; raises `UnicodeError`."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding)
    if data.count(b"\0") > len(data) // 4:  # UTF-16 without a mark: every other byte of what can be in a settings file
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be")
    return data.decode()


def _misspelt(others: Mapping[str, str], missing: Collection[str]) -> Iterator[str]:
    """Say which names nearly are those of settings that are not set."""
    for name, origin in others.items():
        for meant in difflib.get_close_matches(name.upper(), missing, 1, ALIKE):
            yield f"{name} in {origin} is no setting; did you mean {meant}?"


def _unknown(names: Iterable[str], known: Collection[str], origin: str, told: Collection[str]) -> Iterator[str]:
    """Say which other names of a settings file are no settings, and what they may be meant for."""
    for name in names:
        meant = difflib.get_close_matches(name.upper(), known, 1, ALIKE)
        if not any(hint.startswith(f"{name} in {origin} ") for hint in told):
            yield f"{name} in {origin} is no setting" + (f"; did you mean {meant[0]}?" if meant else " of Coverbot's")
