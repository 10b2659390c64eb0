"""The shape of an alert's document, both ways. Pure.

Invariants: what `to_source` writes, `from_document` reads; the group's values stand at their own field names,
where Kibana and other tools look for them, and once more as a list, where ours find them whatever the
field's mapping; values that come from events never replace the alert's own fields.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from pipeline.alerts.episodes import Episode
from pipeline.alerts.outbox import from_documents, required_instant, to_documents
from pipeline.alerts.record import RISK, Alert, Membership, Silenced, Standing, headline
from pipeline.detection.timeline import Severity
from pipeline.elastic.compare_and_set import Document, Version
from pipeline.errors import PermanentError
from pipeline.events.values import address, instant_text, shortened

_GROUP_VALUE_MAX = 1024


def to_source(alert: Alert, *, fields: bool = True) -> dict[str, Any]:
    """Return the whole document; without `fields` the group's values stand in `siemlite.group` alone."""
    source: dict[str, Any] = {}
    if fields:
        for name, value in alert.group:
            _put(source, name, value)
            if name.endswith(".address") and (ip := address(value)[1]) is not None:
                _put(source, f"{name.removesuffix('.address')}.ip", ip)
    techniques = sorted({technique.partition(".")[0] for technique in alert.attack})
    own: dict[str, Any] = {
        "@timestamp": instant_text(alert.episode.crossing_ms),
        "event": {"kind": "alert", "id": alert.id},
        "rule": {"id": alert.detection_id, "name": alert.title, "description": alert.guide},
        "siemlite": {
            "suppress_for": alert.suppress_for,
            "condition": alert.condition,
            "query": alert.query,
            "by_clock": alert.by_clock,
            "crossing": instant_text(alert.episode.crossing_ms),
            "group": [{"field": name, "value": value} for name, value in alert.group],
            "samples": list(alert.samples),
        },
    }
    if alert.attack:
        subs = sorted(technique for technique in alert.attack if "." in technique)
        own["threat"] = {"framework": "MITRE ATT&CK", "technique": {"id": techniques}}
        if subs:
            own["threat"]["technique"]["subtechnique"] = {"id": subs}
    if alert.tags:
        own["tags"] = list(alert.tags)
    if alert.drill is not None:
        own["siemlite"]["drill"] = {"id": alert.drill}
    if alert.is_rollup:
        own["siemlite"]["rollup"] = {
            "total": alert.members_total,
            "members": list(alert.members),
            "examples": list(alert.examples),
        }
    else:
        own["siemlite"]["examples"] = list(alert.examples)
    _merge(source, own)
    _merge(source, changing(alert))
    return source


def changing(alert: Alert) -> dict[str, Any]:
    """Return the part of the document that changes while the alert lives, as a partial document."""
    episode = alert.episode
    return {
        "@timestamp": instant_text(episode.crossing_ms),
        "message": f"[{alert.severity.upper()}] {alert.title} {headline(alert)}",
        "event": {
            "severity": RISK[alert.severity],
            "start": instant_text(episode.first_ms),
            "end": instant_text(episode.last_ms),
        },
        "siemlite": {
            "severity": alert.severity.value,
            "state": alert.state,
            "count": alert.count,
            "measure": episode.measure,
            "first": instant_text(episode.first_ms),
            "crossing": instant_text(episode.crossing_ms),
            "last": instant_text(episode.last_ms),
            "episode": {
                "key": alert.key,
                "number": episode.number,
                "first": instant_text(episode.crossing_ms),
                "last": instant_text(episode.last_ms),
            },
            "deliveries": to_documents(alert.deliveries),
            "acknowledged": _standing_document(alert.acknowledged),
            "closed": _closed_document(alert),
            "silence": _silence_document(alert.silence),
            **({} if alert.is_rollup else {"rollup": _membership_document(alert.membership)}),
            "inhibited_by": alert.inhibited_by,
        },
    }


def from_document(document: Document) -> Alert:
    """Return the alert that a document holds; raises `PermanentError` where it holds none."""
    try:
        return _parsed(document.id, document.source, document.version)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PermanentError(f"the alert {document.id} cannot be read: {error!r}") from None


def _parsed(document_id: str, source: Mapping[str, Any], version: Version) -> Alert:
    own, rule = source["siemlite"], source["rule"]
    closed = _standing(own.get("closed"))
    by_person = closed is not None and bool(own["closed"].get("person"))
    rollup = own.get("rollup") or {}
    technique = (source.get("threat") or {}).get("technique") or {}
    subs = tuple((technique.get("subtechnique") or {}).get("id") or ())
    covered = {sub.partition(".")[0] for sub in subs}
    return Alert(
        id=document_id,
        key=str(own["episode"]["key"]),
        detection_id=str(rule["id"]),
        title=str(rule["name"]),
        guide=str(rule.get("description") or ""),
        attack=tuple(sorted((*subs, *(t for t in technique.get("id") or () if t not in covered)))),
        tags=tuple(source.get("tags") or ()),
        group=tuple((str(pair["field"]), str(pair["value"])) for pair in own.get("group") or ()),
        episode=Episode(
            number=int(own["episode"]["number"]),
            first_ms=required_instant(own["first"]),
            crossing_ms=required_instant(own["crossing"]),
            last_ms=required_instant(own["last"]),
            severity=Severity(own["severity"]),
            measure=int(own.get("measure") or 0),
            ended_ms=closed.at_ms if by_person and closed is not None else None,
        ),
        suppress_for=int(own["suppress_for"]),
        count=int(own["count"]),
        condition=str(own.get("condition") or ""),
        query=_query(own.get("query")),
        by_clock=bool(own.get("by_clock")),
        state=str(own["state"]),
        drill=(own.get("drill") or {}).get("id"),
        deliveries=from_documents(own.get("deliveries") or ()),
        samples=tuple(own.get("samples") or ()),
        acknowledged=_standing(own.get("acknowledged")),
        closed=closed,
        silence=_silence(own.get("silence")),
        membership=_membership(rollup),
        members=tuple(rollup.get("members") or ()),
        members_total=int(rollup.get("total") or 0),
        examples=tuple(rollup.get("examples") or own.get("examples") or ()),
        inhibited_by=own.get("inhibited_by"),
        version=version,
    )


def _query(text: object) -> str:
    if not text:
        return ""
    query = orjson.loads(str(text))
    if not isinstance(query, dict):
        raise TypeError("its query is none")
    orjson.dumps(query)  # who made it could; one that is nested too deeply for that would break what tells of it
    return str(text)


def _standing_document(standing: Standing | None) -> dict[str, Any] | None:
    if standing is None:
        return None
    return {"by": standing.by, "at": instant_text(standing.at_ms), "note": standing.note}


def _closed_document(alert: Alert) -> dict[str, Any] | None:
    document = _standing_document(alert.closed)
    return None if document is None else {**document, "person": alert.episode.ended_ms is not None}


def _standing(stored: Mapping[str, Any] | None) -> Standing | None:
    if stored is None:
        return None
    return Standing(str(stored["by"]), required_instant(stored["at"]), str(stored.get("note") or ""))


def _silence_document(silence: Silenced | None) -> dict[str, Any] | None:
    if silence is None:
        return None
    return {
        "id": silence.id,
        "author": silence.author,
        "until": instant_text(silence.until_ms),
        "reason": silence.reason,
    }


def _silence(stored: Mapping[str, Any] | None) -> Silenced | None:
    if stored is None:
        return None
    return Silenced(
        str(stored["id"]), str(stored["author"]), required_instant(stored["until"]), str(stored.get("reason") or "")
    )


def _membership_document(membership: Membership | None) -> dict[str, Any] | None:
    if membership is None:
        return None
    return {
        "reason": membership.reason,
        "id": membership.id,
        "since": instant_text(membership.since_ms),
        "state": "gathering" if membership.id is None else "gathered",
    }


def _membership(stored: Mapping[str, Any]) -> Membership | None:
    if not stored.get("reason"):
        return None
    return Membership(str(stored["reason"]), stored.get("id"), required_instant(stored["since"]))


def _put(source: dict[str, Any], name: str, value: str) -> None:
    *parents, leaf = name.split(".")
    node = source
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            return
        node = child
    if not isinstance(node.get(leaf), dict):
        node[leaf] = shortened(value, _GROUP_VALUE_MAX)


def _merge(target: dict[str, Any], own: Mapping[str, Any]) -> None:
    for name, value in own.items():
        present = target.get(name)
        if isinstance(value, Mapping) and isinstance(present, dict):
            _merge(present, value)
        else:
            target[name] = dict(value) if isinstance(value, Mapping) else value
