"""Which detections keep which quiet, as their authors say."""

from dataclasses import replace

import pytest

from pipeline.alerts.quiet import inhibits_of
from pipeline.alerts.silences import Silence
from pipeline.engine.loader import BUILT_IN, load_detections
from pipeline.errors import ConfigurationError
from tests.unit.alerts.memory_engine import detection


def test_only_detections_that_say_so_keep_others_quiet() -> None:
    plain, loud = detection("plain"), detection("loud")
    loud = replace(loud, kind=replace(loud.kind, inhibits=("plain",)))
    assert inhibits_of([plain, loud]) == {"loud": ("plain",)}


def test_what_is_inhibited_exists_and_watches_the_same_groups() -> None:
    loaded = load_detections((BUILT_IN,))
    inhibits = inhibits_of(loaded.detections)
    assert inhibits
    for name, quiet in inhibits.items():
        for other in quiet:
            assert loaded[other].group_by == loaded[name].group_by


def test_one_text_is_no_list_of_ids() -> None:
    with pytest.raises(ConfigurationError, match="inhibits"):
        replace(detection().kind, inhibits="plain")  # type: ignore[arg-type]


def test_a_network_is_silent_and_no_account_that_is_called_like_an_address_of_it() -> None:
    silence = Silence("s", "kim", "a pentest", 0, 9, cidr="10.0.0.0/8")
    assert silence.applies("any", (("source.address", "10.1.1.1"),), 1)
    assert silence.applies("any", (("user.id", "alice"), ("siemlite.data.peer", "10.1.1.1")), 1)
    assert not silence.applies("any", (("user.id", "10.1.1.1"),), 1)
    assert not silence.applies("any", (("user.id", "10.1.1.1"), ("source.address", "192.0.2.1")), 1)
