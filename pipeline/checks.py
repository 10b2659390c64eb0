"""What `siemlite check` looks at: each thing that must be in place, and the repair where it is not.

Invariant: a check changes nothing.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pipeline.alerts.record import INDEX as ALERTS_INDEX
from pipeline.app.watching import App
from pipeline.delivery.routing import OWN
from pipeline.elastic import templates
from pipeline.elastic.client import part, translated, without_credentials
from pipeline.elastic.compare_and_set import CONTROL_INDEX
from pipeline.elastic.fixed import REMAKE, lacking
from pipeline.engine.checkup import examine
from pipeline.engine.indices import PREFIX, look
from pipeline.engine.loader import not_loaded
from pipeline.engine.mappings import Mappings
from pipeline.errors import ConfigurationError, SiemliteError
from pipeline.events.pseudonyms import Pseudonyms
from pipeline.events.values import counted, instant_text
from pipeline.geoip import GeoIp
from pipeline.logger.proxies import TrustedProxies
from pipeline.shipping.letters import INDEX as LETTERS_INDEX
from pipeline.shipping.letters import local_letters
from pipeline.shipping.survey import survey

OLD_MS = 60_000
"""Age at which events that wait in a spool are worth a look."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One thing that was looked at."""

    verdict: Literal["ok", "note", "wrong"]
    subject: str
    text: str


def run_checks(app: App) -> Iterator[Checked]:
    """Yield what was found, in the order in which an event, and then a finding, meets it."""
    yield from _logger(app)
    try:
        yield from _spools(app)
    except SiemliteError as error:
        yield Checked("wrong", "spools", str(error))
    yield from _places(app)
    try:
        yield from _elasticsearch(app)
    except SiemliteError as error:
        yield Checked("wrong", "Elasticsearch", str(error))
    yield from _detections(app)
    try:
        yield from _channels(app)
    except SiemliteError as error:
        yield Checked("wrong", "channels", str(error))


def _logger(app: App) -> Iterator[Checked]:
    try:
        TrustedProxies(app.settings.siemlite_trusted_proxies)
        Pseudonyms.of(app.settings.siemlite_pseudonymise, lambda _, value: value)
    except SiemliteError as error:
        yield Checked("wrong", "settings", str(error))
    file = app.settings.siemlite_security_log
    if file is None:
        return
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        yield Checked("wrong", "SIEMLITE_SECURITY_LOG", f"{file} cannot be written by this user; name another file")
    else:
        yield Checked("ok", "SIEMLITE_SECURITY_LOG", f"{file} can be written by this user")


def _spools(app: App) -> Iterator[Checked]:
    now_ms = app.clock.now_ms()
    spools = survey(app.spools)
    yield Checked("ok", "spools", f"{len(spools)} in {app.spools.folder}")
    for spool in spools:
        if spool.trouble:
            yield Checked("wrong", f"spool {spool.name}", spool.trouble)
        if spool.oldest_ms is not None and now_ms - spool.oldest_ms > OLD_MS:
            age = (now_ms - spool.oldest_ms) // 1000
            repair = "" if spool.sent else "; nobody sends them: run `siemlite ship` or `siemlite up`"
            text = f"{counted(spool.events, 'event')} waiting since {age} s{repair}"
            yield Checked("wrong", f"spool {spool.name}", text)
    letters = sum(1 for _ in local_letters(app.settings.siemlite_home))
    if letters:
        yield Checked("note", "dead letters", f"{letters} in the local file; see `siemlite dead-letters list`")


def _places(app: App) -> Iterator[Checked]:
    paths = tuple(Path(name) for name in app.settings.siemlite_geoip)
    unusable = GeoIp(paths, app.clock).unusable
    for path in paths:
        if path in unusable:
            yield Checked("wrong", "SIEMLITE_GEOIP", f"{path} cannot be used: {unusable[path]}")
        else:
            yield Checked("ok", "SIEMLITE_GEOIP", f"{path} is in use")


def _elasticsearch(app: App) -> Iterator[Checked]:
    place = without_credentials(app.url)
    with translated(place):
        health = app.client.cluster.health(timeout="5s")
        nodes = app.client.nodes.info(metric="os", filter_path="nodes.*.version")
    versions = ", ".join(sorted({str(node.get("version")) for node in part(place, nodes, "nodes").values()}))
    status = part(place, health, "status")
    verdict: Literal["ok", "wrong"] = "wrong" if status == "red" else "ok"
    yield Checked(verdict, "Elasticsearch", f"{place} is {status}, version {versions}")
    try:
        templates.refuse_old(app.client)
    except ConfigurationError as error:
        yield Checked("wrong", "Elasticsearch", str(error))
    for found in templates.compare(app.client):
        if found.change == "unchanged":
            yield Checked("ok", f"template {found.name}", f"version {found.version}")
        else:
            yield Checked("wrong", f"template {found.name}", f"is to be {found.change}; run `siemlite setup`")
    for name in (ALERTS_INDEX, CONTROL_INDEX, LETTERS_INDEX):
        if missed := lacking(app.client, name):
            more = f" and {len(missed) - 3} more" if len(missed) > 3 else ""
            text = f"lacks {', '.join(missed[:3])}{more}, or has it otherwise; run `siemlite setup`, or {REMAKE}"
            yield Checked("wrong", f"index {name}", text)
    yield from _indices(app)


def _indices(app: App) -> Iterator[Checked]:
    """Look for indices, and for templates of somebody else's, that keep events from being found."""
    today = PREFIX + instant_text(app.clock.now_ms())[:10].replace("-", ".")
    for name in templates.taking_our_place(app.client, today):
        text = f"has a higher priority than security-logs for {today}; lower it, or leave security-logs-* out of it"
        yield Checked("wrong", f"template {name}", text)
    found = look(app.client)
    days = {index.day_ms: index.name for index in found.all if index.name.count("-") == 2}
    for index in found.all:
        other = days.get(index.day_ms, index.name)
        if index.day_ms is not None and other != index.name:
            text = f"holds the day of {other} as well: an event that is in both counts twice; rename or close one"
            yield Checked("note", f"index {index.name}", text)
    for missing in Mappings(app.client).judged(found).missing:
        text = missing.text.removesuffix(": see `siemlite check`")
        repair = (
            "reindex it under siemlite's template, rename it, or close it" if text != missing.text else "restore it"
        )
        yield Checked("wrong", "indices", f"{text}; {repair}")


def _detections(app: App) -> Iterator[Checked]:
    try:
        loaded = app.loaded
    except SiemliteError as error:
        yield Checked("wrong", "detections", str(error))
        return
    yield Checked("ok", "detections", f"{len(loaded.detections)} loaded")
    for name in loaded.replaced:
        yield Checked("note", f"detection {name}", "your file takes the place of the built-in one")
    for name in loaded.off:
        yield Checked("note", f"detection {name}", "is switched off by your file")
    for failure in loaded.failures:
        yield Checked("wrong", "detection", str(failure))
    own = app.settings.siemlite_detections
    for text in not_loaded(own) if own is not None else ():
        yield Checked("note", "detections", text)
    try:
        for doubt in examine(app.client, loaded.detections):
            yield Checked(doubt.verdict, f"detection {doubt.detection_id}", doubt.text)
    except SiemliteError as error:
        yield Checked("wrong", "detections", str(error))


def _channels(app: App) -> Iterator[Checked]:
    ids = [detection.id for detection in app.loaded.detections]
    for pattern in app.routing.patterns:
        if not any(fnmatchcase(name, pattern) for name in (*ids, *OWN)):
            yield Checked("wrong", "SIEMLITE_ROUTES", f"no detection is called {pattern!r}: nothing takes that route")
    people = [name for name, channel in app.channels.items() if channel.reaches_people]
    if people:
        yield Checked("ok", "channels", f"alerts go to {', '.join(people)}")
    else:
        yield Checked("note", "channels", "none is configured: alerts are written to the console; set SLACK_WEBHOOK")
