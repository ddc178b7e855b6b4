"""The README's first screen: its figures, its comparison, and the tests that hold its words."""

from __future__ import annotations

import re

import av

from tests.project.pages import DOCS, README, ROOT, rows

RELIABILITY = (DOCS / "reliability.md").read_text("utf-8")
LARGEST = 600_000
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_the_figures_are_those_of_the_page_of_reliability() -> None:
    total = dict(
        zip(
            ("deaths", "endings", "lost", "twice", "paid twice", "thinking"),
            rows(RELIABILITY, "| What was played |")["**total**"],
            strict=False,
        )
    )
    line = " ".join(README.split("Killed ")[1].split("(")[0].split())
    assert line == (
        f"{total['deaths']} times with `SIGKILL` on purpose, {total['endings']} endings of commands looked at: "
        f"**{total['lost']}** lost, **{total['twice']}** posted twice, **{total['paid twice']}** paid twice, "
        f'**{total["thinking"]}** left "thinking…"'
    )


def test_the_moving_picture_is_there_in_the_light_and_in_the_dark_and_quickly_loaded() -> None:
    screen = README.split("## What it promises")[0]
    shown = re.findall(r"(?:srcset|src)=\"(docs/pictures/[\w-]+\.webp)\"", screen)
    assert sorted(shown) == sorted(
        f"docs/pictures/session-{scheme}{still}.webp" for scheme in ("light", "dark") for still in ("", "-still")
    )
    for name in shown:
        with av.open(ROOT / name) as container:
            assert container.format.name == "webp_pipe"
        data = (ROOT / name).read_bytes()
        assert len(data) < LARGEST
        assert (b"ANIM" in data) == ("still" not in name)
    # Who cannot see it reads what happens in it.
    [told] = re.findall(r'alt="(A moving picture[^"]+)"', screen)
    assert all(word in told for word in ("/cover", "offered", "killed", "started", "player"))


def test_what_is_said_of_other_bots_is_dated_and_ticked_or_left_empty() -> None:
    section = README.split("### Beside other bots")[1].split("\n## ")[0]
    assert re.search(r"read in \w+ 20\d\d\b", section)
    head = next(line for line in section.splitlines() if line.startswith("| What it does |"))
    others = re.findall(r"\]\((https://github\.com/[\w-]+/[\w-]+)\)", head)
    assert len(others) == head.count("|") - 3
    table = rows(section, "| What it does |")
    assert {cell for cells in table.values() for cell in cells} == {"✓", ""}
    # What is better elsewhere is said too.
    assert any(not cells[0] for cells in table.values())


def test_the_words_that_a_test_holds_stand_on_the_first_screen_and_the_tests_are_there() -> None:
    screen = README.split("## What it promises")[0].casefold()
    table = rows(CONTRIBUTING, "## Words of the README's first screen")
    assert len(table) >= 5
    for first, [held] in table.items():
        for word in re.findall(r"\*\*(.+?)\*\*", first):
            assert word.strip("`").casefold() in screen, word
        [test] = re.findall(r"`(tests/[\w/]+\.py)`", held)
        assert (ROOT / test).is_file(), test
