"""A backtest as lines for a terminal, as JSON, and as an SVG picture. Pure; text from outside is escaped."""

from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

from pipeline.engine.backtest import Backtest, Variant, histogram
from pipeline.engine.finding import group_text
from pipeline.events.values import counted, instant_text

_BLOCKS = " ▁▂▃▄▅▆▇█"
_GROUPS_MAX = 10
_WIDTH, _PANEL, _MARGIN, _BINS = 960, 170, 40, 120
_SHORT_MS = 600_000
_COLOURS = ("#3b6ea5", "#c8553d")


def chart_lines(found: Backtest, width: int) -> Iterator[str]:
    """Yield the chart, `width` characters wide, and the groups with the most alerts."""
    span = (found.from_ms, found.to_ms)
    counts = [histogram(variant, span, max(10, width)) for variant in found.variants]
    highest = max((count for own in counts for count in own), default=0)
    for variant, own in zip(found.variants, counts, strict=True):
        yield f"{variant.label}: {variant.summary}: {_alerts(variant)}"
        yield "".join(_BLOCKS[0 if not count else 1 + (count * 7) // highest] for count in own).rstrip()
    shown = 16 if found.to_ms - found.from_ms >= _SHORT_MS else 19
    first, last = (instant_text(instant)[:shown].replace("T", " ") for instant in span)
    yield f"{first} to {last}; a full column is {counted(highest, 'alert')}"
    yield from _table(found)


def _table(found: Backtest) -> Iterator[str]:
    by_group = [dict(variant.groups()) for variant in found.variants]
    totals = {group: max(own.get(group, 0) for own in by_group) for own in by_group for group in own}
    ordered = sorted(totals, key=lambda group: (-totals[group], group))
    if not ordered:
        return
    yield ""
    yield "  ".join([*(f"{variant.label:>8}" for variant in found.variants), "group"])
    for group in ordered[:_GROUPS_MAX]:
        yield "  ".join([*(f"{own.get(group, 0):>8}" for own in by_group), group_text(group)])
    if len(ordered) > _GROUPS_MAX:
        yield f"and {counted(len(ordered) - _GROUPS_MAX, 'more group')}"


def backtest_document(found: Backtest) -> dict[str, Any]:
    """Return a backtest as a JSON-safe value."""
    return {
        "detection": found.detection.id,
        "from": instant_text(found.from_ms),
        "to": instant_text(found.to_ms),
        "variants": [
            {
                "label": variant.label,
                "condition": variant.summary,
                "alerts": [
                    {
                        "group": dict(alarm.group),
                        "first_crossing": instant_text(alarm.first_ms),
                        "last_crossing": instant_text(alarm.last_ms),
                        "crossings": alarm.crossings,
                    }
                    for alarm in variant.alarms
                ],
            }
            for variant in found.variants
        ],
    }


def svg(found: Backtest) -> str:
    """Return the chart as an SVG document, current and proposed below each other on one scale."""
    span = (found.from_ms, found.to_ms)
    counts = [histogram(variant, span, _BINS) for variant in found.variants]
    highest = max([1, *(count for own in counts for count in own)])
    height = 60 + _PANEL * len(found.variants) + 20
    title = escape(f"{found.detection.title} ({found.detection.id})")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{_MARGIN}" y="30" font-size="17">{title}</text>',
    ]
    for number, (variant, own) in enumerate(zip(found.variants, counts, strict=True)):
        parts += _panel(variant, own, highest, 50 + _PANEL * number, _COLOURS[number % len(_COLOURS)])
    for fifth in range(6):
        x = _MARGIN + (_WIDTH - 2 * _MARGIN) * fifth / 5
        instant = span[0] + (span[1] - span[0]) * fifth // 5
        anchor = "start" if fifth == 0 else "end" if fifth == 5 else "middle"
        parts.append(f'<text x="{x:.1f}" y="{height - 8}" text-anchor="{anchor}" fill="#555">{_minute(instant)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(variant: Variant, counts: Any, highest: int, top: int, colour: str) -> Iterator[str]:
    bottom, full = top + _PANEL - 25, _PANEL - 60
    yield (
        f'<text x="{_MARGIN}" y="{top + 16}">{escape(variant.label)}: {escape(variant.summary)}: '
        f"{escape(_alerts(variant))}</text>"
    )
    yield f'<line x1="{_MARGIN}" y1="{bottom}" x2="{_WIDTH - _MARGIN}" y2="{bottom}" stroke="#999"/>'
    yield f'<text x="{_MARGIN - 6}" y="{bottom - full + 10}" text-anchor="end" fill="#555">{highest}</text>'
    width = (_WIDTH - 2 * _MARGIN) / len(counts)
    for number, count in enumerate(counts):
        if count:
            tall = full * count / highest
            yield (
                f'<rect x="{_MARGIN + number * width:.1f}" y="{bottom - tall:.1f}" width="{max(1.0, width - 1):.1f}" '
                f'height="{tall:.1f}" fill="{colour}"><title>{counted(count, "alert")}</title></rect>'
            )


def _alerts(variant: Variant) -> str:
    groups = len({alarm.group for alarm in variant.alarms})
    return f"{counted(len(variant.alarms), 'alert')} of {counted(groups, 'group')}"


def _minute(instant_ms: int) -> str:
    return instant_text(instant_ms)[5:16].replace("T", " ")
