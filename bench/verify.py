"""Whether what was shipped is there: every event once, nothing else, and no secret of the workload."""

from dataclasses import dataclass

from bench.server import Server
from bench.workload import LEAK, Workload

RIGHT = "right"


@dataclass(frozen=True, slots=True)
class Verified:
    """What is wrong with the stored events, in numbers; all 0 when nothing is.

    `missing` and `doubled` are events of the workload by their trace ids, `foreign` documents that are none of
    them, `unnamed` documents whose `event.id` is not their id, `leaks` secrets found in the stored text.
    """

    missing: int
    doubled: int
    foreign: int
    unnamed: int
    leaks: int

    @property
    def right(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.missing or self.doubled or self.foreign or self.unnamed or self.leaks)

    def __str__(self) -> str:
        names = ("missing", "doubled", "foreign", "unnamed", "leaks")
        return ", ".join(f"{getattr(self, name)} {name}" for name in names if getattr(self, name)) or RIGHT


def verify(server: Server, workload: Workload) -> Verified:
    """Compare everything that is stored with the workload."""
    missing = set(workload.trace_ids())
    seen: set[str] = set()
    doubled = foreign = unnamed = leaks = 0
    for page in server.pages():
        leaks += sum(1 for _ in LEAK.finditer(page.text))
        for hit in page.hits:
            source = hit["_source"]
            trace = source.get("trace", {}).get("id", "")
            unnamed += source.get("event", {}).get("id") != hit["_id"]
            if trace in missing:
                missing.remove(trace)
                seen.add(trace)
            elif trace in seen:
                doubled += 1
            else:
                foreign += 1
    return Verified(len(missing), doubled, foreign, unnamed, leaks)
