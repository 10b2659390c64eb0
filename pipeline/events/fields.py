"""The fields of an event document: what they are called, what type they have, what else they are called.

`FIELDS` holds every field that the index template maps (a test compares the two), by ECS 8 name. `ALIASES`
holds the names of the common application format. Invariant: a name in `OURS` is written by siemlite alone.
"""

KEYWORD_MAX = 1024
"""Characters that a keyword keeps; beyond, it is shortened with a hash of the whole."""

DATA_LEAF_MAX = 4000
"""Characters that a metadata value keeps: with its path it stays below Lucene's 32,766 bytes for a term."""

DATA_KEY_MAX = 256
"""Characters that a metadata key keeps."""

FIELDS: dict[str, str] = {
    "@timestamp": "date",
    "message": "text",
    "tags": "keyword",
    "client.address": "keyword",
    "destination.address": "keyword",
    "destination.port": "long",
    "error.message": "text",
    "error.type": "keyword",
    "event.action": "keyword",
    "event.category": "keyword",
    "event.code": "keyword",
    "event.created": "date",
    "event.dataset": "keyword",
    "event.duration": "long",
    "event.kind": "keyword",
    "event.module": "keyword",
    "event.outcome": "keyword",
    "event.provider": "keyword",
    "event.reason": "keyword",
    "event.type": "keyword",
    "group.name": "keyword",
    "host.hostname": "keyword",
    "host.name": "keyword",
    "http.request.id": "keyword",
    "http.request.method": "keyword",
    "http.request.referrer": "keyword",
    "http.response.status_code": "long",
    "log.file.path": "keyword",
    "log.level": "keyword",
    "log.logger": "keyword",
    "log.syslog.facility.code": "long",
    "log.syslog.severity.code": "long",
    "process.name": "keyword",
    "process.pid": "long",
    "service.environment": "keyword",
    "service.name": "keyword",
    "service.version": "keyword",
    "session.id": "keyword",
    "source.address": "keyword",
    "source.geo.city_name": "keyword",
    "source.geo.country_iso_code": "keyword",
    "source.geo.country_name": "keyword",
    "source.geo.location": "geo_point",
    "source.geo.name": "keyword",
    "source.geo.region_name": "keyword",
    "source.as.number": "long",
    "source.as.organization.name": "keyword",
    "source.ip": "ip",
    "source.port": "long",
    "span.id": "keyword",
    "trace.id": "keyword",
    "transaction.id": "keyword",
    "url.domain": "keyword",
    "url.full": "keyword",
    "url.path": "keyword",
    "url.query": "keyword",
    "user.changes.name": "keyword",
    "user.domain": "keyword",
    "user.effective.name": "keyword",
    "user.email": "keyword",
    "user.id": "keyword",
    "user.name": "keyword",
    "user.roles": "keyword",
    "user.target.email": "keyword",
    "user.target.id": "keyword",
    "user.target.name": "keyword",
    "user_agent.name": "keyword",
    "user_agent.original": "keyword",
}

OWN_FIELDS: dict[str, str] = {
    "event.id": "keyword",
    "event.ingested": "date",
    "siemlite.data": "flattened",
    "siemlite.drill.id": "keyword",
    "siemlite.drill.signature": "keyword",
    "siemlite.number.rows": "double",
    "siemlite.number.shed": "double",
    "siemlite.number.shed_error": "double",
    "siemlite.number.shed_info": "double",
    "siemlite.number.shed_warn": "double",
    "siemlite.skeleton": "keyword",
}
"""The numbers are those that detections, and `status`, of siemlite's own rely on; others get theirs as they come."""

OURS_PREFIXES = ("siemlite.", "integrity.", "event.id.", "event.ingested.")
OURS = frozenset({"siemlite", "integrity", "event.id", "event.ingested"})

ALIASES: dict[str, str] = {
    "timestamp": "@timestamp",
    "sessionHash": "session.id",
    "session_hash": "session.id",
    "level": "log.level",
    "event": "event.code",
    "service": "service.name",
    "traceId": "trace.id",
    "trace_id": "trace.id",
    "userId": "user.id",
    "user_id": "user.id",
    "email": "user.email",
    "ip": "source.address",
    "userAgent": "user_agent.original",
    "user_agent": "user_agent.original",
    "geoLocation": "source.geo",
    "geo_location": "source.geo",
    "reason": "event.reason",
}

GEO_ALIASES: dict[str, str] = {
    "name": "source.geo.name",
    "country": "source.geo.country_name",
    "countryName": "source.geo.country_name",
    "country_name": "source.geo.country_name",
    "countryCode": "source.geo.country_iso_code",
    "country_code": "source.geo.country_iso_code",
    "country_iso_code": "source.geo.country_iso_code",
    "city": "source.geo.city_name",
    "city_name": "source.geo.city_name",
    "region": "source.geo.region_name",
    "region_name": "source.geo.region_name",
    "location": "source.geo.location",
}

LEVEL_NAMES = {"warning": "warn", "err": "error", "notice": "info", "information": "info"}

ROOTS = frozenset(name.partition(".")[0] for name in (*FIELDS, *OWN_FIELDS) if "." in name)
PATHS: dict[str, tuple[str, ...]] = {name: tuple(name.split(".")) for name in (*FIELDS, *OWN_FIELDS)}
