// Explorers of populations: learners over time, a lattice that is alive, and attackers of a rule that the reader writes.
const BIDS = grid(0, 1, 20), VALUES = [0.1, 0.3, 0.5, 0.7, 0.9], HORIZON = 4000;
const remembered = new Map();

/** Keep the last few results of a slow computation, by a text that names it. */
function once(key, make) {
  if (!remembered.has(key)) {
    if (remembered.size > 12) remembered.delete(remembered.keys().next().value);
    remembered.set(key, make());
  }
  return remembered.get(key);
}

/** What each bid expects at each value, if every rival bids as often as `chances` says; equal bids are settled by lot. */
function bidsEarn(price, n, chances) {
  const density = BIDS.map((_, b) => sum(chances.map((row) => row[b])) / chances.length);
  let below = 0, paidBelow = 0;
  const wins = [], pays = [];
  density.forEach((f, b) => {
    const upTo = below + f, all = upTo ** (n - 1), less = below ** (n - 1);
    wins.push(f > 1e-12 ? (upTo ** n - below ** n) / (n * f) : all);
    pays.push(price === 1 ? BIDS[b] * wins[b] : paidBelow + BIDS[b] * (wins[b] - less));
    paidBelow += BIDS[b] * (all - less);
    below = upTo;
  });
  return VALUES.map((v) => BIDS.map((_, b) => v * wins[b] - pays[b]));
}

function learners({ price, learner, bidders, round }) {
  const path = once(`learners ${price} ${learner} ${bidders}`, () => {
    const totals = VALUES.map(() => BIDS.map(() => 0)), k = BIDS.length, explore = 0.1;
    const rate = learner === 1 ? Math.sqrt((8 * Math.log(k)) / (HORIZON / VALUES.length)) : explore / k;
    const said = [];
    for (let t = 0; t <= HORIZON; t++) {
      const chances = totals.map((row) => {
        const most = Math.max(...row), grown = row.map((x) => Math.exp(rate * (x - most))), all = sum(grown);
        return grown.map((x) => (learner === 1 ? x / all : ((1 - explore) * x) / all + explore / k));
      });
      if (t % 40 === 0) said.push(chances.map((row) => sum(row.map((x, b) => x * BIDS[b]))));
      const earns = bidsEarn(price, bidders, chances);
      totals.forEach((row, v) => row.forEach((_, b) => { row[b] += (earns[v][b] + 0.9) / 1.8 / VALUES.length; }));
    }
    return said;
  });
  const share = price === 2 ? 1 : (bidders - 1) / bidders;
  return { path, bids: path[Math.round(round / 40)], theory: VALUES.map((v) => share * v) };
}

const SIDE = 41, GAIN = 1.85;

/** A number in [0, 1) that depends on a cell and a round alone. */
function chance(cell, round) {
  let x = Math.imul(cell + 1, 0x9e3779b1) ^ Math.imul(round + 7, 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
  x = Math.imul(x ^ (x >>> 12), 0x297a2d39);
  return ((x ^ (x >>> 15)) >>> 0) / 4294967296;
}

/** One round of `mechlib.course.lattice.lattice_step` on a square torus. */
function latticeStep(cells, fine) {
  const pays = [[1, 0, 0], [GAIN - fine, -fine, 0], [-0.01, -0.01, -0.01]], score = new Float64Array(cells.length);
  const near = (cell) => {
    const row = Math.floor(cell / SIDE), column = cell % SIDE, found = [];
    for (const i of [-1, 0, 1]) for (const j of [-1, 0, 1]) found.push(((row + i + SIDE) % SIDE) * SIDE + ((column + j + SIDE) % SIDE));
    return found;
  };
  for (let cell = 0; cell < cells.length; cell++) {
    const met = [0, 0, 0];
    for (const other of near(cell)) met[cells[other]] += 1;
    for (let s = 0; s < 3; s++) score[cell] += pays[cells[cell]][s] * met[s];
  }
  return cells.map((own, cell) => {
    let best = -Infinity, copied = own;
    for (const other of near(cell)) if (score[other] > best) [best, copied] = [score[other], cells[other]];
    return score[cell] === best ? own : copied;
  });
}

function lattice({ rounds, caught, fine, heir, flips = [] }) {
  const worlds = once(`lattice ${caught} ${fine} ${heir} ${flips}`, () => {
    const cells = new Array(SIDE * SIDE).fill(0);
    cells[(SIDE * SIDE - 1) / 2] = 1;
    for (const cell of flips) cells[cell] = 1 - cells[cell];
    return [cells];
  });
  while (worlds.length <= rounds) {
    const round = worlds.length, next = latticeStep(worlds[round - 1], fine);
    worlds.push(next.map((own, cell) => (own === 1 && chance(cell, round) < caught ? (heir === 1 ? 2 : 0) : own)));
  }
  const cells = worlds[rounds], held = [0, 1, 2].map((kind) => cells.filter((c) => c === kind).length / cells.length);
  return { cells, held };
}

/** Draw a square of cells, one path a kind; return which cell lies under a place. */
function drawCells(svg, { cells, side }, width) {
  const size = Math.min(width, 360), left = (width - size) / 2, unit = size / side;
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${size}`);
  svg.setAttribute("height", size);
  [["var(--s2)", 0.35], ["var(--s1)", 1], ["none", 1]].forEach(([fill, opacity], kind) => {
    const path = cells.map((c, i) => (c === kind ? `M${(left + (i % side) * unit).toFixed(1)} ${(Math.floor(i / side) * unit).toFixed(1)}h${unit.toFixed(2)}v${unit.toFixed(2)}h-${unit.toFixed(2)}z` : "")).join("");
    svg.append(tag("path", { d: path, fill, "fill-opacity": opacity }));
  });
  svg.append(tag("rect", { x: left, y: 0, width: size, height: size, fill: "none", stroke: "currentColor", "stroke-opacity": 0.4 }));
  return (px, py) => {
    const column = Math.floor((px - left) / unit), row = Math.floor(py / unit);
    return { cell: Math.min(column, row) >= 0 && Math.max(column, row) < side ? row * side + column : null };
  };
}

/** Turn a formula into a function of its names; numbers, names, + - * / ** < > and min, max, abs, sqrt are known. */
function formula(text, names) {
  const parts = text.match(/\d*\.?\d+|[a-zA-Z]+|\*\*|[-+*/()<>,]|\S/g) ?? [];
  const calls = { min: Math.min, max: Math.max, abs: Math.abs, sqrt: Math.sqrt };
  let at = 0;
  const eat = (part) => {
    if (parts[at] !== part) throw new Error(`expected ${part} but found ${parts[at] ?? "the end"}`);
    at += 1;
  };
  const chain = (next, operations) => () => {
    let left = next();
    while (operations[parts[at]]) {
      const act = operations[parts[at++]], one = left, other = next();
      left = (v) => act(one(v), other(v));
    }
    return left;
  };
  function atom() {
    const part = parts[at++];
    if (part === "(") {
      const inside = compared();
      eat(")");
      return inside;
    }
    if (part === "-" || part === "+") {
      const inside = power();
      return part === "-" ? (v) => -inside(v) : inside;
    }
    if (part !== undefined && /^[\d.]/.test(part)) return () => Number(part);
    if (calls[part]) {
      eat("(");
      const given = [compared()];
      while (parts[at] === ",") { at += 1; given.push(compared()); }
      eat(")");
      return (v) => calls[part](...given.map((g) => g(v)));
    }
    if (names.includes(part)) return (v) => v[part];
    throw new Error(`${part ?? "the end"} is not known`);
  }
  function power() {
    const base = atom();
    if (parts[at] !== "**") return base;
    at += 1;
    const exponent = power();
    return (v) => base(v) ** exponent(v);
  }
  const times = chain(power, { "*": (a, b) => a * b, "/": (a, b) => a / b });
  const plus = chain(times, { "+": (a, b) => a + b, "-": (a, b) => a - b });
  const compared = chain(plus, { "<": (a, b) => Number(a < b), ">": (a, b) => Number(a > b) });
  const made = compared();
  if (at < parts.length) throw new Error(`${parts[at]} is not known here`);
  return made;
}

const ATTACKS = ["one liar", "two liars", "a big lie", "honesty loses", "over budget"], PLACE = 0.05, SEATS = 5;

/** What each of five agents expects at some beliefs and reports, pay and place, where each is paid by a rule. */
function expects(rule, beliefs, reports, place) {
  const most = Math.max(...reports), first = reports.indexOf(most);
  return beliefs.map((p, i) => {
    const v = { c: reports[i], o: Math.max(...reports.filter((_, j) => j !== i)), ship: Number(i === first), slot: PLACE };
    return p * rule({ ...v, a: 1 }) + (1 - p) * rule({ ...v, a: 0 }) + place * v.ship;
  });
}

function capstone({ rule: text, draw: seed }) {
  let rule;
  try {
    rule = formula(text, ["c", "a", "o", "ship", "slot"]);
  } catch (error) {
    return { fault: error.message, worst: ATTACKS.map(() => 0), lie: null };
  }
  let count = 0;
  const rnd = () => chance(count++, seed);
  const worst = [0, 0, 0, 0, 0];
  let lie = null;
  for (let n = 0; n < 2500; n++) {
    const beliefs = Array.from({ length: SEATS }, rnd), liars = 1 + (n % 2), place = n % 4 === 0 ? PLACE * (0.8 + 0.4 * rnd()) : PLACE;
    const first = Math.floor(SEATS * rnd()), who = [first, (first + 1 + Math.floor((SEATS - 1) * rnd())) % SEATS].slice(0, liars);
    const reports = [...beliefs];
    for (const i of who) {
      const kind = Math.floor(4 * rnd()), close = 0.16 * rnd() - 0.08, other = beliefs[Math.floor(SEATS * rnd())];
      reports[i] = Math.min(1, Math.max(0, [rnd(), beliefs[i] + close, other + close, Math.round(rnd())][kind]));
    }
    const honest = expects(rule, beliefs, beliefs, place), told = expects(rule, beliefs, reports, place);
    const won = sum(who.map((i) => told[i] - honest[i])), far = who.some((i) => Math.abs(reports[i] - beliefs[i]) >= 0.4);
    const which = place === PLACE ? liars - 1 : far && liars === 1 ? 2 : null;
    if (which !== null && won > worst[which] + 1e-9) {
      worst[which] = won;
      if (lie === null || won > lie.won) lie = { who, beliefs, reports, won };
    }
    if (place === PLACE) worst[3] = Math.max(worst[3], -Math.min(...honest));
    const most = Math.max(...reports), shipped = reports.indexOf(most);
    const paid = sum(reports.map((c, i) => Math.max(...[0, 1].map((a) =>
      rule({ c, a, o: Math.max(...reports.filter((_, j) => j !== i)), ship: Number(i === shipped), slot: PLACE })))));
    worst[4] = Math.max(worst[4], paid - 1);
  }
  if (!worst.every(Number.isFinite)) return { fault: "it does not give a number everywhere", worst: ATTACKS.map(() => 0), lie: null };
  return { fault: null, worst, lie };
}

Object.assign(models, {
  learners: {
    compute: learners,
    draw: ({ round }, s) => ({ kind: "curves", x: ["rounds", 0, HORIZON], y: ["mean bid", 0, 1], ruler: [round, "now"],
      level: [s.theory[4], "theory, worth 0.9", "end"],
      series: [4, 2, 0].map((v) => ({ name: `worth ${VALUES[v]}`, points: s.path.map((bids, k) => [40 * k, bids[v]]), best: [round, s.bids[v]] })) }),
    say: ({ price, learner, bidders, round }, s) => `After ${round} rounds of ${price === 1 ? "first" : "second"} price, ${bidders} ${learner === 1 ? "Hedge" : "bandit"} learners `
      + `that are worth 0.9 bid ${show(s.bids[4])} on average; theory says ${show(s.theory[4])}. Worth 0.1, they bid ${show(s.bids[0])}; theory says ${show(s.theory[0])}.`,
  },
  lattice: {
    compute: lattice,
    draw: (_, s) => ({ kind: "cells", cells: s.cells, side: SIDE, series: ["cooperates", "defects", "empty"].map((name) => ({ name })) }),
    say: ({ rounds }, s) => `${rounds === 0 ? "At the start" : `After ${rounds} rounds`} cooperators hold ${show(s.held[0])} of the grid, defectors ${show(s.held[1])}`
      + `${s.held[2] > 0 ? `, and ${show(s.held[2])} is empty` : ""}.`,
  },
  capstone: {
    compute: capstone,
    draw: (_, s) => ({ ...bars(ATTACKS, ["gained or lost at worst"], [s.worst], "what each attacker finds"), range: [-0.1, 1] }),
    say: (_, s) => {
      if (s.fault) return `This rule cannot be read: ${s.fault}.`;
      const broken = ATTACKS.filter((_, k) => s.worst[k] > 1e-9);
      if (!broken.length) return "It holds: no attacker found anything in this draw. Try another.";
      const names = s.lie && s.lie.who.map((i) => `believing ${show(s.lie.beliefs[i])} says ${show(s.lie.reports[i])}`).join(", and one ");
      return `Broken: ${broken.join(", ")}.${s.lie ? ` The worst lie: one agent ${names}; gained ${show(s.lie.won)}.` : ""}`;
    },
  },
});
