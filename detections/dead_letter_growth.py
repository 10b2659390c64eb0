"""Events could not be kept whole.

An event that Elasticsearch refuses, or that cannot be redacted, is kept as a skeleton: of the first the dead letters
have all, what the second held beside it is kept nowhere.

Triage: `siemlite.skeleton` says why; `siemlite dead-letters list` shows what Elasticsearch refused. One service means
that its events changed shape; all services, that the index template did. Somebody may also be hiding content by
breaking its form.
False positives: a release that logs a new kind of value.
"""

from pipeline.detection import Severity, Threshold, burst, exists, hours, minutes

detection = Threshold(
    severity=Severity.LOW,
    attack=("T1562",),
    where={"siemlite.skeleton": exists()},
    at_least=10,
    within=minutes(15),
    suppress_for=hours(4),
    fires=[burst(10), burst(10, over=minutes(15) - 1)],
    quiet=[
        burst(9),
        burst(10, over=minutes(15)),
        burst(10, fields={"siemlite.skeleton": None, "event.code": "LOGOUT"}),
    ],
)
