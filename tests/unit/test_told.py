"""A trouble that lasts is told once."""

from pipeline.told import MOST, Told


def test_a_reason_is_told_once_whatever_its_numbers_until_the_trouble_is_over() -> None:
    told = Told()
    assert told.fresh("too large: 28728/28kb")
    assert not told.fresh("too large: 30632/29.9kb")
    assert told.fresh("timed out")
    assert told.over()
    assert not told.over()
    assert told.fresh("too large: 28728/28kb")


def test_no_more_than_a_few_reasons_are_told_of_one_trouble() -> None:
    told = Told()
    assert sum(told.fresh(letter) for letter in "abcdefghij") == MOST


def test_a_trouble_that_comes_and_goes_is_one() -> None:
    told = Told(rest_s=30)
    assert told.fresh("timed out", 100)
    assert not told.over(110)
    assert not told.fresh("timed out", 120)
    assert not told.over(149)
    assert told.over(150)
    assert told.fresh("timed out", 151)
