"""Bidding prompts: the rules come first and the value last; a reply without a bid is never guessed."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechlib import first_price, second_price
from mechlib.course.bidding import (
    FRAMINGS,
    GAMES,
    PRICE,
    VALUES,
    WORDS,
    bidder,
    earnings,
    parse_bid,
    parse_choice,
    revenue_and_welfare,
    summary,
    value_line,
)
from mechlib.course.bidding_figures import bids_beside_values


@given(st.integers(0, 10**6))
def test_a_bid_that_is_written_as_asked_is_read(amount):
    assert parse_bid(f"BID: {amount}") == amount
    assert parse_bid(str(amount)) == amount


@pytest.mark.parametrize(
    ("text", "bid"),
    [
        ("**BID:** 12.5", 12.5),
        ("bid: $1,200", 1200),
        ("Your bid decides whether you win. Your bid is 37 credits.", 37),
        ("BID: 90\nOn reflection:\nBID: 60", 60),
    ],
)
def test_the_last_bid_counts(text, bid):
    assert parse_bid(text) == bid


@pytest.mark.parametrize("text", ["", "Your value is 37 credits.", "between 20 and 30", "I pass", "BID: a number"])
def test_a_reply_without_a_bid_is_not_guessed(text):
    assert math.isnan(parse_bid(text))


def test_choices_are_read_by_the_first_word_that_decides():
    assert parse_choice("STAY", "STAY", "LEAVE") == 1
    assert parse_choice("leave. I will not stay.", "STAY", "LEAVE") == 0
    assert math.isnan(parse_choice("You're right", "STAY", "LEAVE"))


def test_the_value_stands_last_and_nowhere_else():
    for game in GAMES:
        request = bidder("m", game).request(value_line(83))
        assert "83" in request["messages"][-1]["content"]
        assert "83" not in request["system"]


def test_the_number_in_the_example_of_the_form_can_be_another():
    plain, thirty = (bidder("m", "first", "explained", example).request("x")["messages"] for example in (50, 30))
    assert [message["content"] for message in plain[:2]] == ["Show the form of a reply.", "BID: 50"]
    assert thirty[1]["content"] == "BID: 30" and thirty[2:] == plain[2:]


def test_a_lot_number_follows_the_value_and_the_clock_shows_its_price():
    assert value_line(37, lot=63) == "Your value is 37 credits. The item is lot number 63."
    assert value_line(37, price=50) == "Your value is 37 credits. The price is now 50 credits."


def test_the_plain_framing_gives_the_rules_and_no_advice():
    for game in ("first", "second"):
        assert GAMES[game] in bidder("m", game).system
        for framing in ("explained", "deviations"):
            assert FRAMINGS[framing][game] not in bidder("m", game).system
            assert FRAMINGS[framing][game] in bidder("m", game, framing).system


def test_only_the_told_framing_names_the_best_bid():
    said = [name for name, says in FRAMINGS.items() if "two thirds" in says.get("first", "")]
    assert said == ["told"]


def test_the_values_are_forty_and_spread_over_the_scale():
    assert len(set(VALUES)) == 40
    assert min(VALUES) == 1
    assert max(VALUES) == 99
    assert PRICE not in VALUES


def test_an_unknown_game_or_framing_is_refused():
    with pytest.raises(ValueError, match="game is 'dutch'"):
        bidder("m", "dutch")
    with pytest.raises(ValueError, match="one of plain, explained"):
        bidder("m", "second", "told")


def test_every_auction_of_three_is_played():
    values = np.array(VALUES, float)
    played = revenue_and_welfare(second_price, np.array([values, values, values]))
    a, b, c = 3, 20, 11
    assert played.paid[a, b, c] == VALUES[c]
    assert played.worth[a, b, c] == played.most[a, b, c] == VALUES[b]
    assert played.lost == pytest.approx((0, 0, 0))
    echoes = revenue_and_welfare(first_price, np.array([values, values, values]))
    more = echoes.less(played)
    assert more.mean == pytest.approx(echoes.revenue - played.revenue)
    assert 0 < more.low < more.mean < more.high


def test_a_reply_without_a_bid_cannot_win_and_pays_nothing():
    values = np.array(VALUES, float)
    silent = np.full(len(VALUES), math.nan)
    played = revenue_and_welfare(first_price, np.array([silent, values, values]))
    assert played.worth[-1, 3, 5] == played.paid[-1, 3, 5] == VALUES[5]
    assert played.lost.low > 0
    nobody = revenue_and_welfare(first_price, np.array([silent] * 3))
    assert nobody.revenue == 0
    assert nobody.lost == pytest.approx((1, 1, 1))


def test_bids_are_one_row_a_bidder():
    with pytest.raises(ValueError, match="one row a bidder"):
        revenue_and_welfare(first_price, np.zeros((2, len(VALUES))))


@pytest.mark.parametrize("game", WORDS)
def test_the_swapped_form_names_the_same_words_the_other_way_round(game):
    yes, no = WORDS[game]
    plain, swapped = (bidder("m", game, framing).system for framing in ("plain", "swapped"))
    assert plain.endswith(f": {yes} or {no}.") and swapped.endswith(f": {no} or {yes}.")
    assert plain.rpartition("\n")[0] == swapped.rpartition("\n")[0]


def test_a_summary_counts_every_reply_and_guesses_none():
    found = summary([10.0, math.nan, 50.0, 60.0], [10, 20, 40, 80])
    assert (found.bids, found.echo.mean, found.above, found.fifty) == (3, 0.25, 0.25, 0.25)
    assert found.median == 1.0
    assert found.slope.mean == pytest.approx((100 + 2000 + 4800) / (100 + 1600 + 6400))
    silent = summary([math.nan] * 2, [10, 20])
    assert silent.slope is None and math.isnan(silent.median) and silent.echo.mean == 0


def test_a_summary_wants_a_bid_a_value():
    with pytest.raises(ValueError, match="one bid a value"):
        summary([1.0], [1, 2])


def test_earnings_count_every_pair_of_rivals():
    rivals = np.array([10.0, 30.0, math.nan])
    pairs = [max(a, b) for a in (10, 30, -1) for b in (10, 30, -1)]
    for price in ("first", "second"):
        for bid in (5, 10, 20, 31):
            pays = [bid if price == "first" else max(top, 0) for top in pairs]
            by_hand = np.mean([(50 - pay) * (bid > top) for pay, top in zip(pays, pairs, strict=True)])
            assert earnings(rivals, 50, bid, price) == pytest.approx(by_hand)
    assert earnings(rivals, 50, math.nan) == 0


def test_a_reply_without_a_bid_is_drawn_below_the_scale():
    drawn = bids_beside_values({"first": ([10, 20], [[10.0, math.nan]])}, ["m"], {"first": lambda v: v})
    axes = drawn.axes[0]
    crosses = axes.collections[1].get_offsets()
    assert [tuple(spot) for spot in crosses] == [(20.0, -12.0)]
    assert axes.get_ylim()[0] < -12
    assert not np.isin(0.0, axes.collections[0].get_offsets()[:, 1])
