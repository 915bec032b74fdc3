"""Ticket triage: compact JSON with the ticket's reference, and the right category."""

from __future__ import annotations

import json

import pytest

from harness import json_field, valid_json

pytestmark = pytest.mark.golden("triage*")


def test_is_json_with_the_tickets_reference(case, response):
    """Routing parses the answer and looks the reference up; on red-line cases a break blocks the release."""
    assert valid_json(response)
    assert json_field(response, "reference", equals=json.loads(case.target)["reference"])


@pytest.mark.golden("triage*", lane="rate")
def test_names_the_right_category(case, response):
    """A wrong category costs a hand-over, not an outage: counted as a rate on every case."""
    assert json_field(response, "category", equals=json.loads(case.target)["category"])
