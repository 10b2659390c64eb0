"""Login to an account from a network operator that it has not been used from for a month.

Needs `source.as.number`, from the application or from `SIEMLITE_GEOIP`. Of an account that nobody logged in
to for a month nothing is known, and its next network is taken for its own.

Triage: is the operator a hosting provider or a VPN? People rarely log in from there. Look at it together with
new_country_for_account and impossible_travel; alone it is a hint.
False positives: new homes, offices, mobile contracts and trains.
"""

from pipeline.detection import NewValue, Severity, days, event, hours

HOME = {"source.as.number": 64496}
OTHER = {"source.as.number": 64511}

detection = NewValue(
    severity=Severity.LOW,
    attack=("T1078",),
    where={"event.code": "LOGIN_SUCCESS"},
    group_by="user.id",
    fields="source.as.number",
    over=days(30),
    suppress_for=hours(24),
    fires=[
        event(HOME) + event(OTHER, at=hours(8)),
        event(OTHER) + event(HOME) + event(HOME, at=days(15)) + event(OTHER, at=days(30)),
    ],
    quiet=[
        event(OTHER),
        event(OTHER) + event(HOME) + event(HOME, at=days(15)) + event(OTHER, at=days(30) - 1),
        event(HOME) + event({**OTHER, "event.code": "LOGIN_FAILURE"}, at=hours(1)),
    ],
)
