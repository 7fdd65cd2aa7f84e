"""Beliefs of recorded desks: what a reply comes to as chances over the answers that were given."""

import asyncio

import numpy as np
import pytest

from mechlib import Roster, client, market
from mechlib.course.desks import hear
from mechlib.course.pooled import EDGE, believe
from mechlib.course.worlds import documents

CASES = documents("test")[:40]


def test_recorded_desks_are_read_as_they_are_heard():
    team, spoken = Roster.load("documents").agents, client("documents_test")
    heard = asyncio.run(hear(CASES, team, spoken))
    read = asyncio.run(believe(CASES, team, spoken))
    assert read.beliefs.shape == (40, 3, 4) and read.beliefs.sum(axis=2) == pytest.approx(1)
    right = (read.outcome == read.found[:, None]) & (read.outcome < 3)
    assert (right == heard.found.astype(bool)).all() and 0 < right.mean() < 1
    said = np.take_along_axis(read.beliefs, read.outcome[..., None], axis=2)[..., 0]
    spoke = ~np.isnan(heard.reports)
    assert said[spoke] == pytest.approx(heard.reports[spoke].clip(EDGE, 1 - EDGE))
    assert ((read.outcome <= np.arange(3)) | (read.outcome == 3)).all()  # the first desk to say it names it


def test_a_market_of_them_never_costs_more_than_its_bound():
    team = Roster.load("documents").agents
    read = asyncio.run(believe(CASES, team, client("documents_test"), "quadratic-0", client("documents_trained")))
    made = market(read.beliefs, read.found, reads=True)
    assert made.rewards.sum(axis=1).max() <= np.log(4) and made.rewards.sum(axis=1).mean() > 0
