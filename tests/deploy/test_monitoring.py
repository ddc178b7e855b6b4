"""Metrics, dashboard, alerts and log of one running bot, held against each other."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
import yaml
from prometheus_client.parser import text_string_to_metric_families

from bot import version
from bot.metrics import VIDGO_OUTCOMES
from bot.tasks.poller import PLACES
from bot.vidgo import MODELS, VidGoError
from storage.schema import LIVE_TASKS, TaskStatus
from storage.wakeups import Queue
from tests.deploy.promql import Selector, asked
from tests.end_to_end.world import eventually, open_world
from tests.project.pages import OPERATING, ROOT, rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.end_to_end.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROMTOOL = shutil.which("promtool")
NEEDS_PROMTOOL = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not on this machine (Debian: prometheus)")

RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
RULES_TEST = Path(__file__).with_name("rules_test.yaml")
DASHBOARD = ROOT / "deploy" / "grafana" / "coverbot.json"

OF_PROMETHEUS = {"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate", "severity"}}
"""What Prometheus itself adds: series with their labels; to each series of the bot it adds those of `up`."""


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


def shown() -> list[str]:
    """Return the expressions of the dashboard."""
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    targets = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    return targets + [one["expr"] for one in dashboard["annotations"]["list"]]


WORKERS = set(Queue) - {Queue.SHARDS, Queue.PAUSES}
"""What is waited for by workers, and not by the gateway."""

EXPRESSIONS = [*(rule["expr"] for rule in alerts()), *shown()]


@dataclass
class Seen:
    """What a running bot exports, and what it logged."""

    world: World
    labels: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    """Of each series the labels, with their values."""
    values: dict[tuple[str, frozenset[tuple[str, str]]], float] = field(default_factory=dict)

    async def scrape(self) -> None:
        status, text = await self.world.get("/metrics")
        assert status == 200
        for family in text_string_to_metric_families(text):
            if family.type == "gauge":  # it may be known without a value that is
                self.labels.setdefault(family.name, {})
            for sample in family.samples:
                series = self.labels.setdefault(sample.name, {})
                for name, value in sample.labels.items():
                    series.setdefault(name, set()).add(value)
                self.values[sample.name, frozenset(sample.labels.items())] = sample.value

    async def scrape_says_waiting(self) -> bool:
        """Scrape, and tell whether what is held back has reached VidGo and everything else is done."""
        await self.scrape()
        waiting = (("model", "generate-music-cover"), ("status", "waiting"))
        return (
            self.values.get(("coverbot_tasks_live", frozenset(waiting))) == 1
            and self.value("coverbot_archived_total", outcome="kept") >= 2
            and self.value("coverbot_archive_bytes") > 10_000
            and bool(self.series("coverbot_servers"))
        )

    def series(self, name: str) -> list[dict[str, str]]:
        """Return the labels of each series of a metric."""
        return [dict(labels) for known, labels in self.values if known == name]

    def value(self, name: str, **labels: str) -> float:
        return self.values[name, frozenset(labels.items())]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seen]:
    """A bot that has made a cover, was refused a song and limited by Discord twice, and holds a cover back."""
    async with open_world(tmp_path_factory.mktemp("seen"), LOG_FORMAT="json") as world:
        ada = world.person("ada")
        await ada.imports("Harbour Lights")
        world.discord.rate_limit("POST", f"^/channels/{ada.channel.id}/messages$", 0.05)
        await ada.covered()
        world.discord.rate_limit("POST", f"^/channels/{ada.channel.id}/messages$", 0.05, shared=True)
        await ada.result(await ada.use("music generate", prompt="a song of the sea"))
        world.vidgo.fault("submit", "no_credits_429")
        await ada.failure(await ada.use("music generate", prompt="a song of the rain"))
        await ada.imports("Held Back")
        world.vidgo.hold("generate-music-cover")
        call = await ada.cover()
        await call.reply()
        stranger = f"{world.url}/callbacks/vidgo/{'0' * 24}/x"
        async with world.http.post(stranger, data=b"{}") as refused:
            assert refused.status == 403
        it = Seen(world)
        await eventually(it.scrape_says_waiting)
        yield it
        world.vidgo.release("generate-music-cover")
        await ada.result(call)


# The figures


async def test_what_happened_is_counted(seen: Seen) -> None:
    assert seen.value("coverbot_info", version=version()) == 1
    assert seen.value("coverbot_ready") == 1
    assert seen.value("coverbot_servers") == 1
    assert seen.value("coverbot_tasks_ended_total", model="generate-music-cover", status="finished") == 1
    assert seen.value("coverbot_tasks_ended_total", model="generate-music", status="failed") == 1
    assert seen.value("coverbot_tasks_ended_total", model="extend-music", status="given_up") == 0  # as all to come
    assert seen.value("coverbot_deliveries_total", outcome="delivered") == 3  # why there is no song, too
    assert seen.value("coverbot_post_seconds_count", model="generate-music-cover") == 1
    assert 0 < seen.value("coverbot_post_seconds_sum", model="generate-music-cover") < 60
    assert seen.value("coverbot_callbacks_total", status="200") >= 2
    assert seen.value("coverbot_callbacks_total", status="403") == 1
    assert seen.value("coverbot_vidgo_requests_total", request="submit", outcome="ok") == 3
    assert seen.value("coverbot_vidgo_requests_total", request="submit", outcome="no_credits") == 1
    assert seen.value("coverbot_vidgo_requests_total", request="detail", outcome="ok") >= 3
    assert seen.value("coverbot_vidgo_requests_total", request="submit", outcome="rate_limited") == 0
    assert seen.value("coverbot_discord_requests_total", outcome="429") == 1
    assert seen.value("coverbot_discord_requests_total", outcome="429_shared") == 1
    assert seen.value("coverbot_discord_requests_total", outcome="ok") > 10
    assert seen.value("coverbot_submit_wait_seconds_count") == 4
    assert seen.value("coverbot_poll_lag_seconds_count") >= 2


async def test_what_is_there_is_measured(seen: Seen) -> None:
    cover = "generate-music-cover"
    live = {status: seen.value("coverbot_tasks_live", model=cover, status=status) for status in LIVE_TASKS}
    assert live == {"queued": 0, "submitting": 0, "waiting": 1, "running": 0}
    # Of what there is none: a panel shows the last value of a series that is gone for as long as its time reaches.
    for model in set(MODELS) - {cover}:
        assert {seen.value("coverbot_tasks_live", model=model, status=one) for one in LIVE_TASKS} == {0}
    assert 0 < seen.value("coverbot_oldest_task_seconds") < 60
    assert {one["pool"] for one in seen.series("coverbot_pool_size")} == {*WORKERS, "database"}
    assert seen.value("coverbot_pool_size", pool="poller") == PLACES
    for queue in ("poller", "delivery", "acknowledgements", "archiver"):
        assert seen.value("coverbot_queue_due", queue=queue) >= 0
    path = seen.world.bot.directory / "coverbot.db"
    assert seen.value("coverbot_database_bytes") >= path.stat().st_size
    # A cover's picture and a song's audio, at least.
    assert seen.value("coverbot_archive_bytes") > 10_000
    for holds in ("database", "archive"):
        assert seen.value("coverbot_disk_free_bytes", holds=holds) > 1_000_000
    assert seen.value("coverbot_vidgo_credits") > 0


async def test_every_outcome_of_a_request_to_vidgo_is_known_before_it_happens() -> None:
    names = {re.sub("(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower() for kind in VidGoError.__subclasses__()}
    assert len(names) > 8
    assert names | {"ok", "rate_limited", "cancelled"} == set(VIDGO_OUTCOMES)
    assert [one for one in VIDGO_OUTCOMES if f"`{one}`" not in OPERATING] == []


# Dashboard and alerts


def fits(seen: Seen, selector: Selector) -> list[str]:
    """Return what is wrong with what an expression asks of the bot."""
    known = OF_PROMETHEUS.get(selector.metric)
    exported = seen.labels.get(selector.metric)
    if known is None and exported is None:
        return [f"{selector.metric} is not exported"]
    labels = known if exported is None else {*exported, *OF_PROMETHEUS["up"]}
    problems = []
    for name, operator, value in selector.matchers:
        if name not in (labels or ()):
            problems.append(f"{selector.metric} has no label {name}")
        elif exported is not None and name in exported and operator in ("=", "=~"):
            values = exported[name] | (set(TaskStatus) if name == "status" else set())
            parts = [value] if operator == "=" else value.split("|")
            problems += [f"{selector.metric}: {name} is never {part}" for part in parts if part not in values]
    return problems


@pytest.mark.parametrize("expression", EXPRESSIONS)
async def test_an_expression_asks_for_what_is_exported(seen: Seen, expression: str) -> None:
    wanted = asked(expression)
    assert wanted.selectors
    assert [problem for one in wanted.selectors for problem in fits(seen, one)] == []
    labels = {label for one in wanted.selectors for label in seen.labels.get(one.metric, {})}
    assert wanted.grouped_by <= labels | OF_PROMETHEUS["up"]


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("max(coverbot_balance)", "coverbot_balance is not exported"),
        ('coverbot_queue_due{pool="poller"} > 1', "coverbot_queue_due has no label pool"),
        ('rate(coverbot_callbacks_total{status="418"}[5m])', "coverbot_callbacks_total: status is never 418"),
        ('sum by (le) (rate(coverbot_post_seconds_bucket{model=~"a|b"}[5m]))', "model is never a"),
        ("coverbot_ready unless on (job) coverbot_reedy", "coverbot_reedy is not exported"),
    ],
)
async def test_an_expression_that_asks_for_something_else_is_found(seen: Seen, expression: str, problem: str) -> None:
    assert problem in " ".join(wrong for one in asked(expression).selectors for wrong in fits(seen, one))


async def test_the_dashboard_shows_every_metric_of_the_bot(seen: Seen) -> None:
    wanted = {one.metric for expression in shown() for one in asked(expression).selectors}
    parts = re.compile("_(bucket|sum|count|created|total)$")
    series = {parts.sub("", name) for name in seen.labels if name.startswith("coverbot_")}
    assert series - {parts.sub("", name) for name in wanted} == set()


async def test_every_alert_has_a_line_in_the_runbook_and_no_other() -> None:
    table = rows(OPERATING, "| Alert | What to do |")
    assert sorted(table) == sorted(rule["alert"] for rule in alerts())
    for rule in alerts():
        assert rule["annotations"]["runbook"] == "docs/operating.md#alerts"
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("page", "warning")
    assert "\n## Alerts\n" in OPERATING


async def test_every_alert_is_tested_to_come_and_to_stay_away() -> None:
    cases = [
        case for test in yaml.safe_load(RULES_TEST.read_text("utf-8"))["tests"] for case in test["alert_rule_test"]
    ]
    for rule in alerts():
        ends = {bool(case.get("exp_alerts")) for case in cases if case["alertname"] == rule["alert"]}
        assert ends == {True, False}, rule["alert"]


@NEEDS_PROMTOOL
async def test_the_alerts_come_when_they_should() -> None:
    promtool("test", "rules", str(RULES_TEST))


@NEEDS_PROMTOOL
async def test_prometheus_takes_every_expression(tmp_path: Path) -> None:
    rules = [{"record": f"one:{n}", "expr": one.replace("$__rate_interval", "5m")} for n, one in enumerate(shown())]
    (tmp_path / "shown.yaml").write_text(yaml.safe_dump({"groups": [{"name": "shown", "rules": rules}]}))
    promtool("check", "rules", str(RULES), str(tmp_path / "shown.yaml"))


def promtool(*arguments: str) -> None:
    done = subprocess.run([str(PROMTOOL), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# The log


async def test_every_line_about_a_task_has_its_id_as_a_field(seen: Seen) -> None:
    known = {row["id"] for row in seen.world.rows("SELECT id FROM tasks")}
    lines = [json.loads(line) for line in seen.world.bot.log_lines]
    about = {line.get("task") for line in lines} - {None}
    assert about <= known
    assert len(about) == 4
    wrong = [line for line in lines for task in known if task in line["message"] and line.get("task") != task]
    assert wrong == []
    assert any("is posted as message" in line["message"] for line in lines if "task" in line)


async def test_the_log_begins_with_what_runs_and_without_the_librarys_chatter(seen: Seen) -> None:
    lines = [json.loads(line) for line in seen.world.bot.log_lines]
    # That Discord limits the bot is no chatter.
    assert {line["level"] for line in lines if line["name"].startswith("discord")} <= {"WARNING"}
    [first] = [line["message"] for line in lines if " is connected to Discord " in line["message"]]
    ends = r"is connected to Discord as \S+ in 1 servers; [\d.]+ credits, 0 MB in the archive"
    assert re.fullmatch(rf"Coverbot {re.escape(version())} {ends}", first)
