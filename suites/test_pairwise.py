"""Are the answers preferred? A judge compares them with the baseline's, in both orders; without one this says how."""

from __future__ import annotations

import pytest


@pytest.mark.golden("retention/general")
def test_answers_are_no_worse_than_the_baselines(comparisons):
    assert comparisons.not_worse()
