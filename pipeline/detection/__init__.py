"""What the author of a detection imports."""

from pipeline.detection.conditions import (
    above,
    at_least,
    at_most,
    below,
    between,
    cidr,
    contains,
    exists,
    missing,
    not_,
    one_of,
    phrase,
    prefix,
)
from pipeline.detection.detection import Detection
from pipeline.detection.durations import days, hours, milliseconds, minutes, seconds
from pipeline.detection.examples import Example, burst, event, late, until
from pipeline.detection.kind import by_count
from pipeline.detection.kinds.absence import Absence
from pipeline.detection.kinds.change import Change
from pipeline.detection.kinds.custom import Custom, Window
from pipeline.detection.kinds.distinct_count import DistinctCount
from pipeline.detection.kinds.drop import Drop
from pipeline.detection.kinds.match import Match
from pipeline.detection.kinds.metric import Metric
from pipeline.detection.kinds.new_value import NewValue
from pipeline.detection.kinds.sequence import Sequence, Stage, stage
from pipeline.detection.kinds.share import Share
from pipeline.detection.kinds.spike import Spike
from pipeline.detection.kinds.threshold import Threshold
from pipeline.detection.timeline import Crossing, Row, Severity, Timeline
from pipeline.detection.where import all_of, any_of, none_of, raw

__all__ = [
    "Absence",
    "Change",
    "Crossing",
    "Custom",
    "Detection",
    "DistinctCount",
    "Drop",
    "Example",
    "Match",
    "Metric",
    "NewValue",
    "Row",
    "Sequence",
    "Severity",
    "Share",
    "Spike",
    "Stage",
    "Threshold",
    "Timeline",
    "Window",
    "above",
    "all_of",
    "any_of",
    "at_least",
    "at_most",
    "below",
    "between",
    "burst",
    "by_count",
    "cidr",
    "contains",
    "days",
    "event",
    "exists",
    "hours",
    "late",
    "milliseconds",
    "minutes",
    "missing",
    "none_of",
    "not_",
    "one_of",
    "phrase",
    "prefix",
    "raw",
    "seconds",
    "stage",
    "until",
]
