"""The driver: many evaluations share requests, and one that fails fails alone."""

from collections.abc import Generator, Sequence
from time import thread_time
from typing import Any

from pipeline.elastic.search import Answer, Search, Searcher
from pipeline.engine.steps import Step, ask, run, together
from pipeline.errors import PermanentError, RetryableError, SiemliteError


class Recorded(Searcher):
    """Answers each search with its own body, or with an error, and keeps what was asked together."""

    rounds: list[list[Search]]

    def many(self, searches: Sequence[Search]) -> list[Answer | SiemliteError]:
        self.rounds.append(list(searches))
        return [PermanentError("refused") if b"bad" in search.body else {"body": search.body} for search in searches]


def searcher(**limits: int) -> Recorded:
    made = Recorded(None, **limits)  # type: ignore[arg-type]
    object.__setattr__(made, "rounds", [])
    return made


def search(word: str, weight: int = 1) -> Search:
    return Search(b"{}", word.encode(), weight=weight)


def talk(*words: str) -> Step[list[Any]]:
    heard = []
    for word in words:
        heard.append((yield from ask(search(word)))["body"])
    return heard


def test_steps_share_rounds_and_end_when_they_end() -> None:
    asked = searcher()
    ended = list(run(asked, [("long", talk("a", "b")), ("short", talk("a"))]))
    assert ended == [("short", [b"a"]), ("long", [b"a", b"b"])]
    assert [len(one) for one in asked.rounds] == [2, 1]


def test_a_step_whose_search_fails_ends_with_the_error_and_the_others_go_on() -> None:
    ended = dict(run(searcher(), [("broken", talk("bad", "more")), ("well", talk("a", "b"))]))
    assert isinstance(ended["broken"], PermanentError)
    assert ended["well"] == [b"a", b"b"]


def test_a_step_can_raise_and_can_need_nothing() -> None:
    def raises() -> Generator[list[Search], list[Answer], None]:
        yield [search("a")]
        raise RetryableError("later")

    def nothing() -> Generator[list[Search], list[Answer], str]:
        yield from ()
        return "done"

    ended = dict(run(searcher(), [("raises", raises()), ("nothing", nothing())]))
    assert isinstance(ended["raises"], RetryableError)
    assert ended["nothing"] == "done"


def test_side_by_side_steps_ask_together_and_keep_their_order() -> None:
    asked = searcher()
    ((_, values),) = run(asked, [("all", together([talk("a", "b"), talk("c"), talk()]))])
    assert values == [[b"a", b"b"], [b"c"], []]
    assert [len(one) for one in asked.rounds] == [2, 1]


def test_a_heavy_step_does_not_keep_light_ones_waiting() -> None:
    def heavy() -> Generator[list[Search], list[Answer], str]:
        for page in range(5):
            yield [search(f"page {page}", weight=100)]
        return "heavy"

    ended = [key for key, _ in run(searcher(batch_weight=100), [("heavy", heavy()), ("light", talk("a"))])]
    assert ended == ["light", "heavy"]


def test_steps_that_need_nothing_do_not_hide_those_that_come_after_them() -> None:
    steps = [(number, talk()) for number in range(9)] + [(9, talk("a"))] + [(10, talk())]
    assert sorted(key for key, _ in run(searcher(batch_size=1), steps)) == list(range(11))


def test_only_so_many_steps_are_under_way_at_a_time() -> None:
    begun: list[int] = []

    def counted(number: int) -> Step[int]:
        begun.append(number)
        yield from ask(search("a"))
        return number

    ended = run(searcher(batch_size=2), ((number, counted(number)) for number in range(50)))
    next(ended)
    assert len(begun) < 10
    assert len(list(ended)) == 49


def test_the_time_that_judging_takes_counts_as_spent() -> None:
    def judges() -> Generator[list[Search], list[Answer], str]:
        yield [search("a")]
        began = thread_time()
        while thread_time() - began < 0.3:  # longer than a collection of garbage in the other
            pass
        return "done"

    spent: dict[str, int] = {}
    assert dict(run(searcher(), [("judges", judges()), ("quick", talk("a"))], spent))["judges"] == "done"
    assert spent["judges"] >= 299
    assert spent["quick"] < 299
