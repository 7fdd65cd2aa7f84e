"""Exact Shapley values: beside one sum over the table, a package in Rust, and one that goes through all orders."""

import numpy as np
from table import Ratio, ask_peer, best_of, report

from mechlib.rules.credit import shapley


def table(n: int) -> np.ndarray:
    """A random game whose empty coalition is worth nothing; the peers draw the same one from the same seed."""
    values = np.random.default_rng(n).random(1 << n)
    values[0] = 0.0
    return values


def rust(n: int) -> tuple[float, list[float]]:
    """The peer written in Rust; the time to hand it the table is not counted."""
    seconds, values = ask_peer("""
        import numpy as np
        import coopgame
        game = coopgame.Game(np.random.default_rng(data).random(1 << data)[1:].tolist())
        answer = best_of(lambda: list(coopgame.shapley(game)))
    """, n)
    return float(seconds), values


def main() -> None:
    """Twenty-four players, twenty, and nine for the peer that goes through all 9! orders."""
    large = table(24)
    shapley(large, 24)
    total, _ = best_of(lambda: large.sum(), times=7)
    ours, values = best_of(lambda: shapley(large, 24), times=7)
    compiled, theirs = rust(24)
    np.testing.assert_allclose(values, theirs, atol=1e-12)

    middle = table(20)
    ours_20, values = best_of(lambda: [shapley(middle, 20) for _ in range(10)])
    compiled_20, theirs = rust(20)
    np.testing.assert_allclose(values[-1], theirs, atol=1e-12)

    small = table(9)
    ours_9, values = best_of(lambda: [shapley(small, 9) for _ in range(500)])
    orders, theirs = ask_peer("""
        from coopgt.shapley_value import calculate
        n = 9
        game = {tuple(i + 1 for i in range(n) if s >> i & 1): value for s, value in enumerate(data)}
        answer = best_of(lambda: list(calculate(game, n)), times=1)
    """, small.tolist())
    np.testing.assert_allclose(values[-1], theirs, atol=1e-12)

    ours_20, ours_9 = ours_20 / 10, ours_9 / 500
    report("shapley", "all values of a random game of 24, 20 and 9 players, given as a table",
           "both peers' values, to 1e-12",
           {"ours, n = 24": ours, "v.sum(), n = 24": total, "coopgame-py, n = 24": compiled, "ours, n = 20": ours_20,
            "coopgame-py, n = 20": compiled_20, "ours, n = 9": ours_9, "coopgt, n = 9 (once)": orders},
           [Ratio("ours / v.sum(), n = 24", ours / total, at_most=4),
            Ratio("coopgame-py / ours, n = 24", compiled / ours, at_least=25),
            Ratio("coopgame-py / ours, n = 20", compiled_20 / ours_20, at_least=1),
            Ratio("coopgt / ours, n = 9", orders / ours_9, at_least=10_000)], packages=("numpy",))


if __name__ == "__main__":
    main()
