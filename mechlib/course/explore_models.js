// What each explorer computes, draws and says, from its parameters alone. `compute` is checked against mechlib's Python.
const grid = (from, to, steps) => Array.from({ length: steps + 1 }, (_, i) => from + ((to - from) * i) / steps);
const curve = (name, xs, f, best) => ({ name, points: xs.map((x) => [x, f(x)]), best: [best, f(best)] });
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
const show = (number) => (Math.abs(number) < 0.0005 ? 0 : number).toFixed(3).replace(/\.?0+$/, "").replace("-", "\u2212");

function pipeline({ cost, share, lazy, start, rounds }) {
  const works = 0.95;
  const payoffs = [0, 1, 2].map((others) => {
    const rest = works ** others * lazy ** (2 - others);
    return { work: share * rest * works - cost, shirk: share * rest * lazy };
  });
  const stays = (workers) =>
    (workers === 0 || payoffs[workers - 1].work >= payoffs[workers - 1].shirk) &&
    (workers === 3 || payoffs[workers].shirk >= payoffs[workers].work);
  const gain = (x) => share * (works - lazy) * (lazy + x * (works - lazy)) ** 2;
  // agents copy who is paid more: x' = x (1 - x) (gain - cost), in steps of half a round
  const path = [start];
  for (let t = 0; t < 2 * rounds; t += 1) {
    const x = path.at(-1);
    path.push(Math.min(1, Math.max(0, x + 0.5 * x * (1 - x) * (gain(x) - cost))));
  }
  return { payoffs, equilibria: [0, 1, 2, 3].filter(stays), gain, now: path.at(-1) };
}

function bidding({ bidders: n, value, bid }) {
  const first = (b) => (value - b) * Math.min(1, (b * n) / (n - 1)) ** (n - 1);
  const direct = (r) => (value - ((n - 1) / n) * r) * r ** (n - 1);
  const second = (b) => value * b ** (n - 1) - ((n - 1) / n) * b ** n;
  return { first: first(bid), direct: direct(bid), second: second(bid), best: ((n - 1) / n) * value, curves: { first, direct, second } };
}

function pivot({ a, b, c, worth }) {
  const sold = (own) => {
    const together = own + b >= c;
    const payments = together ? [Math.max(0, c - b), Math.max(0, c - own), 0] : [0, 0, own + b];
    return { payments, together, gain: together ? worth - payments[0] : 0 };
  };
  return { bids: [a, b, c], ...sold(a), truth: sold(worth).gain, at: (own) => sold(own).gain };
}

function agreement({ good, accuracy, blind }) {
  const pay = (share) => {
    const says = [share + (1 - share) * accuracy, share + (1 - share) * (1 - accuracy)];
    const joint = good * (says[0] ** 2 + (1 - says[0]) ** 2) + (1 - good) * (says[1] ** 2 + (1 - says[1]) ** 2);
    const p = good * says[0] + (1 - good) * says[1];
    return { output: joint, correlated: joint - p * p - (1 - p) * (1 - p) };
  };
  return { ...pay(blind), pay };
}

// What chapter 4's recorded pipeline is worth by who works (bit 0: retriever, 1: synthesiser, 2: verifier), if a lazy verifier releases all.
const RECORDED = [-1, -1, -0.875, 0.375, -0.0625, -0.1875, -0.125, 0.6875];

function credit({ release }) {
  const weight = [1 / 3, 1 / 6, 1 / 3], size = (set) => (set & 1) + ((set >> 1) & 1) + ((set >> 2) & 1);
  const shapley = (share) => {
    const worth = RECORDED.map((value, set) => (set & 4 ? value : share * value)); // what is withheld is worth 0
    return [0, 1, 2].map((i) => sum(RECORDED.map((_, s) => ((s >> i) & 1 ? 0 : weight[size(s)] * (worth[s | (1 << i)] - worth[s])))));
  };
  return { shapley: shapley(release), at: shapley };
}

function scoring({ belief: p, report }) {
  const absolute = (c) => c * (2 * p - 1);
  const quadratic = (c) => p * (1 - (1 - c) ** 2) - (1 - p) * c ** 2;
  const logarithmic = (c) => p * Math.log(c) + (1 - p) * Math.log(1 - c);
  const curves = { absolute, quadratic, logarithmic };
  return { absolute: absolute(report), quadratic: quadratic(report), logarithmic: logarithmic(report), best: p >= 0.5 ? 1 : 0, curves };
}

// What desks earned on the 200 test tasks under each of the three rules, and how often a team of them passed on a right answer.
const SELECTED = [["as it is", [0.8945, -0.1622, -0.0683], 0.4225], ["trained to be honest", [0.3653, 0.2473, 0.3331], 0.8542], ["silent", [0, 0, 0], 0]];

function selection({ rule, price, trained, rounds }) {
  const start = [(1 - trained) / 2, trained, (1 - trained) / 2];
  const pays = SELECTED.map(([, paid], i) => (i === 2 ? price : paid[rule - 1]));
  const at = (round) => {
    const grown = start.map((x, i) => x * Math.exp(0.1 * round * (pays[i] - Math.max(...pays))));
    return grown.map((x) => x / sum(grown));
  };
  const now = at(rounds), most = now.indexOf(Math.max(...now));
  return { at, now, pays, most, right: SELECTED[most][2] };
}

// A quadratic score: pays p squared for the truth, and less the square of the distance for anything else.
function routing({ belief: p, rival, prize, report }) {
  const floor = 0.1, score = (c) => p * p - (c - p) ** 2;
  const paid = {
    alone: (c) => (c > rival ? score(c) : 0),
    inverse: score,
    priced: (c) => (c > rival ? p - rival - prize : 0),
  };
  const chance = { alone: [0, 1], inverse: [floor, 1 - floor], priced: [0, 1] };
  const rules = Object.keys(paid), over = Math.min(1, rival + 0.01);
  const earns = Object.fromEntries(rules.map((rule) => [rule, (c) => paid[rule](c) + prize * chance[rule][c > rival ? 1 : 0]]));
  const best = Object.fromEntries(rules.map((rule) => [rule, earns[rule](over) > earns[rule](p) + 1e-9 ? over : p]));
  return { earns, best, now: rules.map((rule) => earns[rule](report)), paid: rules.map((rule) => paid[rule](report)) };
}

// Two rivals whose values are even from 0 to 1; each bids its value with the chance `echo`, and the auction's equilibrium otherwise.
function rivals({ value, bid, echo }) {
  const equilibrium = { first: (v) => (2 / 3) * v, second: (v) => v, allpay: (v) => (2 / 3) * v ** 3 };
  const below = {
    first: (b) => Math.min(1, 1.5 * b),
    second: (b) => b,
    allpay: (b) => Math.min(1, Math.cbrt(1.5 * b)),
  };
  const beats = (game, b) => (echo * b + (1 - echo) * below[game](b)) ** 2;
  const earns = {
    first: (b) => (value - b) * beats("first", b),
    second: (b) => value * b ** 2 - (2 / 3) * b ** 3,
    allpay: (b) => value * beats("allpay", b) - b,
  };
  const games = Object.keys(earns);
  const best = games.map((game) => grid(0, 1, 200).reduce((a, b) => (earns[game](b) > earns[game](a) + 1e-12 ? b : a)));
  return { earns, best, now: games.map((game) => earns[game](bid)), most: games.map((game, i) => earns[game](best[i])), equilibrium: games.map((game) => equilibrium[game](value)) };
}

const bars = (groups, names, values, axis) => ({ kind: "bars", groups, series: names.map((name, i) => ({ name, values: values[i] })), axis });
const WORKERS = ["retriever", "synthesiser", "verifier"];
const COUNT = ["nobody", "one agent", "two agents", "all three"];

export const models = {
  pipeline: {
    compute: pipeline,
    draw: ({ cost }, s) => ({ kind: "curves", x: ["share of the agents that work", 0, 1], y: ["added to an agent's pay by working", 0, 0.5],
      ruler: [s.now, "now"], level: [cost, "cost of working"], series: [curve("what working adds", grid(0, 1, 100), s.gain, s.now)] }),
    say: ({ cost, start, rounds }, s) => `${rounds === 0 ? "At the start" : `After ${rounds} rounds`} ${show(s.now)} of the agents work`
      + `${rounds === 0 ? "" : `, from ${show(start)}`}. There, working adds ${show(s.gain(s.now))} and costs ${show(cost)}`
      + `: the share that works ${s.gain(s.now) > cost ? "grows" : "falls"}. In equilibrium, ${s.equilibria.map((k) => COUNT[k]).join(" or ")} ${s.equilibria.at(-1) > 1 ? "work" : "works"}.`,
  },
  bidding: {
    compute: bidding,
    draw: ({ value, bid }, s) => ({ kind: "curves", x: ["your bid or report", 0, 1], y: ["expected gain", -0.15, 0.5], ruler: [bid, "yours"],
      series: [curve("first price, bid", grid(0, 1, 100), s.curves.first, s.best),
        curve("its direct version and second price, report", grid(0, 1, 100), s.curves.direct, value)] }),
    say: ({ value, bid }, s) => `In the first-price auction the best bid is ${show(s.best)}, and ${show(bid)} earns ${show(s.first)}. `
      + `In its direct version, and in second price, the best report is your value, ${show(value)}; reporting ${show(bid)} earns ${show(s.direct)} in either.`,
  },
  pivot: {
    compute: pivot,
    draw: ({ a, worth }, s) => ({ kind: "curves", x: ["what A reports", 0, 10], y: ["what A gains", -10, 10], ruler: [a, "report"],
      marks: [[worth, "truth"]], series: [curve("A's gain, by its report", grid(0, 10, 200), s.at, a)] }),
    say: ({ b, c, worth }, s) => (s.together
      ? `A and B win. Without A the others would have ${show(Math.max(b, c))}, with A they have ${show(b)}: A pays ${show(s.payments[0])}, and B pays ${show(s.payments[1])}. A gains ${show(s.gain)}.`
      : `C wins both. Without C, A and B would have ${show(s.bids[0] + b)}: that is what C pays. A gains 0.`)
      + ` Reporting the truth, ${show(worth)}, A would gain ${show(s.truth)}.`,
  },
  agreement: {
    compute: agreement,
    draw: ({ blind }, s) => ({ kind: "curves", x: ["share of tasks graded without looking", 0, 1], y: ["mean payment a task", 0, 1],
      ruler: [blind, "here"], series: [
        curve("output agreement", grid(0, 1, 100), (x) => s.pay(x).output, s.pay(0).output > 1 - 1e-9 ? 0 : 1),
        curve("correlated agreement", grid(0, 1, 100), (x) => s.pay(x).correlated, 0)] }),
    say: ({ blind }, s) => `At ${show(blind)}, output agreement pays ${show(s.output)} and correlated agreement ${show(s.correlated)}. `
      + `Never looking pays ${show(s.pay(1).output)} and ${show(s.pay(1).correlated)}; always looking, ${show(s.pay(0).output)} and ${show(s.pay(0).correlated)}.`,
  },
  credit: {
    compute: credit,
    draw: ({ release }, s) => ({ kind: "curves", x: ["share of drafts that a lazy verifier releases", 0, 1], y: ["Shapley value", 0, 0.8], ruler: [release, "lazy means"],
      series: WORKERS.map((name, i) => curve(name, grid(0, 1, 50), (q) => s.at(q)[i], release)) }),
    say: ({ release }, s) => `If a lazy verifier releases ${show(release)} of the drafts, the Shapley values are ${WORKERS.map((name, i) => `${show(s.shapley[i])} for the ${name}`).join(", ")}. `
      + `The ${WORKERS[s.shapley.indexOf(Math.max(...s.shapley))]} is paid most.`,
  },
  scoring: {
    compute: scoring,
    draw: ({ belief, report }, s) => ({ kind: "curves", x: ["reported confidence c", 0, 1], y: ["expected payment", -1.6, 1], ruler: [report, "yours"],
      series: [curve("absolute", grid(0, 1, 100), s.curves.absolute, s.best), curve("quadratic", grid(0, 1, 100), s.curves.quadratic, belief),
        curve("logarithmic", grid(0.002, 0.998, 200), s.curves.logarithmic, belief)] }),
    say: ({ belief, report }, s) => `With belief ${show(belief)}, the absolute rule pays most for saying ${s.best}; the quadratic and the logarithmic rule, `
      + `for saying ${show(belief)}. Saying ${show(report)} earns ${show(s.absolute)}, ${show(s.quadratic)} and ${show(s.logarithmic)}.`,
  },
  routing: {
    compute: routing,
    draw: ({ rival, report }, s) => ({ kind: "curves", x: ["report of your chance to be right", 0, 1], y: ["expected: payment and prize", -0.5, 1.1], ruler: [report, "yours"],
      series: [["alone", "scored only if chosen"], ["inverse", "inverse weights, floor 0.1"], ["priced", "the slot is priced"]].map(([rule, name]) => ({
        name, points: [...grid(0, rival, 50), ...grid(rival + 1e-6, 1, 50)].map((c) => [c, s.earns[rule](c)]), best: [s.best[rule], s.earns[rule](s.best[rule])] })) }),
    say: ({ belief, report }, s) => `You believe ${show(belief)}. A best report is ${show(s.best.alone)} if you are scored only when chosen, ${show(s.best.inverse)} with inverse weights, and ${show(s.best.priced)} where the slot is priced. `
      + `Reporting ${show(report)} earns you ${s.now.map(show).join(", ")}; of that the router pays ${s.paid.map(show).join(", ")}.`,
  },
  rivals: {
    compute: rivals,
    draw: ({ bid }, s) => ({ kind: "curves", x: ["your bid", 0, 1], y: ["expected gain", -0.4, 0.7], ruler: [bid, "yours"],
      series: [["first", "first price"], ["second", "second price"], ["allpay", "all-pay"]].map(([game, name], i) => curve(name, grid(0, 1, 100), s.earns[game], s.best[i])) }),
    say: ({ value, bid, echo }, s) => `Your value is ${show(value)}, and each rival echoes its own with chance ${show(echo)}. Your best bid is ${show(s.best[0])} in first price, ${show(s.best[1])} in second price and ${show(s.best[2])} in all-pay; `
      + `it earns ${s.most.map(show).join(", ")}. Bidding ${show(bid)} earns ${s.now.map(show).join(", ")}.`,
  },
  selection: {
    compute: selection,
    draw: ({ rounds }, s) => ({ kind: "curves", x: ["rounds", 0, 200], y: ["share of the agents", 0, 1], ruler: [rounds, "now"],
      series: SELECTED.map(([name], i) => curve(name, grid(0, 200, 100), (t) => s.at(t)[i], rounds)) }),
    say: ({ rounds }, s) => `After ${rounds} rounds the shares are ${SELECTED.map(([name], i) => `${show(s.now[i])} (${name})`).join(", ")}. `
      + (s.most === 2 ? "A silent team passes nothing on." : `A team of the most common kind passes on a right answer in ${show(s.right)} of the tasks.`),
  },
};
