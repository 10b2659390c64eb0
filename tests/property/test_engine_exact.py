"""The engine on a real Elasticsearch against the reference, over random histories; the short form.

`make exact-test` runs the long one. A history that fails names its seed: `EXACT_SEED` runs it alone.
"""

import os

import pytest

from tests.property.histories import History, seeds

SHORT = 84


def chosen() -> list[int]:
    alone = os.environ.get("EXACT_SEED")
    return [int(alone)] if alone is not None else list(seeds(0, SHORT))


@pytest.mark.parametrize("seed", chosen())
def test_the_engine_finds_what_is_true_and_nothing_else(es_ready: str, seed: int) -> None:
    History(es_ready, seed).run()
