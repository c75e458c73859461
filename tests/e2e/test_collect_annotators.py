"""A panel labels through the HTTP API, and the quality page tells who did what."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import pytest
from bench.annotator_panel import Design
from bench.collect_annotators import FOUND, label_and_ask
from bench.collect_people import Person

PANEL: Counter[Person] = Counter(honest=9, side=1, flatterer=1, length=1, speeder=1, minority=1)


@pytest.mark.slow
def test_gross_faults_are_told_apart_and_a_minority_is_not_blamed(tmp_path: Path) -> None:
    """Faults so gross that a small panel shows them; bench/collect_annotators.py has those of the stated power."""
    gross = dataclasses.replace(
        Design(), judgements=110, side_share=0.95, flattery_rate=0.99, longer_rate=0.99, likeness=-0.5, retests=0.4
    )
    said = label_and_ask(PANEL, gross, tmp_path, seed=6)
    for handle, role in said.roles.items():
        blamed = set(said.blamed(handle))
        assert blamed & set(FOUND[role]) if role in FOUND else not blamed, (role, said.reasons[handle])
    assert min(said.judgements.values()) >= 100
