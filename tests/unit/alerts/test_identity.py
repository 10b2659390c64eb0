"""Ids are the same for the same thing and for no other."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.alerts.identity import alert_id, episode_key, rollup_id

texts = st.text()
groups = st.lists(st.tuples(texts, texts), max_size=3).map(tuple)
keys = st.tuples(texts, groups, st.none() | texts)


@settings(deadline=None)
@given(keys, keys)
def test_two_groups_share_a_key_only_if_they_are_the_same(one: tuple, other: tuple) -> None:  # type: ignore[type-arg]
    assert (episode_key(*one) == episode_key(*other)) == (one == other)


def test_a_value_cannot_imitate_another_groups_fields() -> None:
    assert episode_key("d", (("a", "1"), ("b", "2"))) != episode_key("d", (("a", '1"],["b","2'),))


def test_a_drill_never_shares_an_alert_with_the_real_world() -> None:
    assert episode_key("d", (("a", "1"),)) != episode_key("d", (("a", "1"),), "drill")


def test_ids_hold_a_lone_surrogate() -> None:
    assert len(episode_key("d", (("a", "\ud800"),))) == 32
    assert episode_key("d", (("a", "\ud800"),)) != episode_key("d", (("a", "\ud801"),))


def test_episodes_and_rollups_have_ids_of_their_own() -> None:
    key = episode_key("d", ())
    assert alert_id(key, 1) != alert_id(key, 2)
    assert rollup_id("storm", ("a", "b")) == rollup_id("storm", ("b", "a"))
    assert rollup_id("storm", ("a", "b")) != rollup_id("digest", ("a", "b"))
