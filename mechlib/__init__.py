"""Mechanism design for LLM agents: a mechanism is a function from reports to an outcome.

The names below are importable from here. Each is loaded when it is first asked for, and what it needs with it.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mechlib.agents.endpoints import EndpointAgent as EndpointAgent
    from mechlib.agents.endpoints import EndpointGrader as EndpointGrader
    from mechlib.agents.llm import client as client
    from mechlib.agents.personas import PersonaAgent as PersonaAgent
    from mechlib.agents.personas import PersonaGrader as PersonaGrader
    from mechlib.agents.protocol import Answer as Answer
    from mechlib.agents.protocol import FunctionAgent as FunctionAgent
    from mechlib.agents.protocol import FunctionGrader as FunctionGrader
    from mechlib.agents.protocol import Mark as Mark
    from mechlib.agents.roster import Agent as Agent
    from mechlib.agents.roster import Roster as Roster
    from mechlib.agents.tasks import load_tasks as load_tasks
    from mechlib.agents.tasks import parse_answer as parse_answer
    from mechlib.agents.tasks import parse_score as parse_score
    from mechlib.attacks.audit import audit as audit
    from mechlib.attacks.audit import audit_bayes as audit_bayes
    from mechlib.attacks.false_names import false_names as false_names
    from mechlib.attacks.learn import learn as learn
    from mechlib.attacks.learners import Exp3 as Exp3
    from mechlib.attacks.learners import Hedge as Hedge
    from mechlib.attacks.learners import replicator as replicator
    from mechlib.attacks.replay import Recorded as Recorded
    from mechlib.attacks.replay import replay as replay
    from mechlib.attacks.router import audit_router as audit_router
    from mechlib.attacks.sampled import audit_sampled as audit_sampled
    from mechlib.attacks.scoreboard import scoreboard as scoreboard
    from mechlib.course.check import check as check
    from mechlib.desk.coordinator import Coordinator as Coordinator
    from mechlib.desk.escrow import Escrow as Escrow
    from mechlib.desk.ledger import Ledger as Ledger
    from mechlib.desk.ledger import LedgerError as LedgerError
    from mechlib.mechanism import Award as Award
    from mechlib.mechanism import Outcome as Outcome
    from mechlib.mechanism import revenue as revenue
    from mechlib.mechanism import transfers as transfers
    from mechlib.mechanism import utility as utility
    from mechlib.mechanism import welfare as welfare
    from mechlib.rules.auctions import all_pay as all_pay
    from mechlib.rules.auctions import first_price as first_price
    from mechlib.rules.auctions import posted_price as posted_price
    from mechlib.rules.auctions import second_price as second_price
    from mechlib.rules.auctions import vickrey as vickrey
    from mechlib.rules.budget import budget_feasible as budget_feasible
    from mechlib.rules.calibration import auc as auc
    from mechlib.rules.calibration import reliability as reliability
    from mechlib.rules.calibration import wilson as wilson
    from mechlib.rules.choice import best_mark as best_mark
    from mechlib.rules.choice import highest as highest
    from mechlib.rules.choice import impartial as impartial
    from mechlib.rules.choice import score_auction as score_auction
    from mechlib.rules.choice import scored as scored
    from mechlib.rules.choice import softened as softened
    from mechlib.rules.contracts import best_contract as best_contract
    from mechlib.rules.contracts import best_linear as best_linear
    from mechlib.rules.contracts import cheapest_contract as cheapest_contract
    from mechlib.rules.contracts import cheapest_score as cheapest_score
    from mechlib.rules.credit import difference_rewards as difference_rewards
    from mechlib.rules.credit import shapley as shapley
    from mechlib.rules.credit import shapley_sampled as shapley_sampled
    from mechlib.rules.design import design as design
    from mechlib.rules.design import virtual_values as virtual_values
    from mechlib.rules.greedy import greedy_bundles as greedy_bundles
    from mechlib.rules.items import item_prices as item_prices
    from mechlib.rules.paths import vcg_path as vcg_path
    from mechlib.rules.peer import bayesian_truth_serum as bayesian_truth_serum
    from mechlib.rules.peer import correlated_agreement as correlated_agreement
    from mechlib.rules.peer import determinant_mi as determinant_mi
    from mechlib.rules.peer import output_agreement as output_agreement
    from mechlib.rules.peer import peer_truth_serum as peer_truth_serum
    from mechlib.rules.peer import select_impartially as select_impartially
    from mechlib.rules.pooling import linear_pool as linear_pool
    from mechlib.rules.pooling import log_pool as log_pool
    from mechlib.rules.pooling import market as market
    from mechlib.rules.revelation import direct as direct
    from mechlib.rules.revelation import first_price_equilibrium as first_price_equilibrium
    from mechlib.rules.scoring import absolute as absolute
    from mechlib.rules.scoring import best_report as best_report
    from mechlib.rules.scoring import is_proper as is_proper
    from mechlib.rules.scoring import logarithmic as logarithmic
    from mechlib.rules.scoring import quadratic as quadratic
    from mechlib.rules.scoring import second_report as second_report
    from mechlib.rules.scoring import spherical as spherical
    from mechlib.rules.vcg import vcg as vcg
    from mechlib.rules.vcg import vcg_assignment as vcg_assignment
    from mechlib.rules.vcg import vcg_combinatorial as vcg_combinatorial
    from mechlib.rules.vcg import vcg_knapsack as vcg_knapsack
    from mechlib.rules.votes import majority as majority
    from mechlib.rules.votes import priced_majority as priced_majority
    from mechlib.rules.votes import target_rule as target_rule
    from mechlib.rules.votes import weighted_median as weighted_median
    from mechlib.settings import Actions as Actions
    from mechlib.settings import Beliefs as Beliefs
    from mechlib.settings import Joint as Joint
    from mechlib.settings import Values as Values

__version__ = "0.2.0"

if sys.platform == "emscripten":  # pragma: no cover
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # a browser starts no threads

_NAMES = {
    "mechanism": "Award Outcome revenue transfers utility welfare",
    "settings": "Actions Beliefs Joint Values",
    "rules.auctions": "all_pay first_price posted_price second_price vickrey",
    "rules.vcg": "vcg vcg_assignment vcg_combinatorial vcg_knapsack",
    "rules.paths": "vcg_path",
    "rules.greedy": "greedy_bundles",
    "rules.budget": "budget_feasible",
    "rules.revelation": "direct first_price_equilibrium",
    "rules.scoring": "absolute best_report is_proper logarithmic quadratic second_report spherical",
    "rules.calibration": "auc reliability wilson",
    "rules.peer": "bayesian_truth_serum correlated_agreement determinant_mi output_agreement peer_truth_serum "
    "select_impartially",
    "rules.choice": "best_mark highest impartial score_auction scored softened",
    "rules.credit": "difference_rewards shapley shapley_sampled",
    "rules.items": "item_prices",
    "rules.votes": "majority priced_majority target_rule weighted_median",
    "rules.pooling": "linear_pool log_pool market",
    "rules.contracts": "best_contract best_linear cheapest_contract cheapest_score",
    "rules.design": "design virtual_values",
    "attacks.audit": "audit audit_bayes",
    "attacks.false_names": "false_names",
    "attacks.sampled": "audit_sampled",
    "attacks.learn": "learn",
    "attacks.replay": "Recorded replay",
    "attacks.router": "audit_router",
    "attacks.scoreboard": "scoreboard",
    "attacks.learners": "Exp3 Hedge replicator",
    "agents.llm": "client",
    "agents.protocol": "Answer FunctionAgent FunctionGrader Mark",
    "agents.personas": "PersonaAgent PersonaGrader",
    "agents.endpoints": "EndpointAgent EndpointGrader",
    "agents.roster": "Agent Roster",
    "agents.tasks": "load_tasks parse_answer parse_score",
    "desk.coordinator": "Coordinator",
    "desk.ledger": "Ledger LedgerError",
    "desk.escrow": "Escrow",
    "course.check": "check",
}
HOMES = {name: f"mechlib.{module}" for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = globals()[name] = getattr(import_module(HOMES[name]), name)
    except ModuleNotFoundError as error:
        if error.name not in ("anthropic", "httpx2"):
            raise
        how = f'{name} needs the Anthropic SDK: pip install "mechlib[llm]"'
        raise ModuleNotFoundError(how, name=error.name) from None
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(HOMES))
