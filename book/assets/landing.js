// The auction on the front page: bid against two simulated rivals, and see what a lie would have brought.

/** What the player gets: ties go to the rivals, who were there first. */
export function outcome(rule, value, bid, rivals) {
  const highest = Math.max(...rivals), won = bid > highest;
  const pays = won ? (rule === "second" ? highest : bid) : 0;
  return { won, pays, gain: won ? value - pays : 0, highest };
}

/** The whole number to bid that would have gained most, and the truth where that is as good as any. */
export function best(rule, value, rivals) {
  const gains = (bid) => outcome(rule, value, bid, rivals).gain;
  return Array.from({ length: 101 }, (_, bid) => bid).reduce((a, b) => (gains(b) > gains(a) ? b : a), value);
}

/** Say in words what happened and what another bid would have brought. */
export function sentence(rule, value, bid, rivals) {
  const mine = outcome(rule, value, bid, rivals), truth = outcome(rule, value, value, rivals);
  const top = best(rule, value, rivals), most = outcome(rule, value, top, rivals).gain;
  const result = mine.won
    ? `You win and pay ${mine.pays}${rule === "second" ? ", the second highest bid" : ", your own bid"}: you ${mine.gain < 0 ? `lose ${-mine.gain}` : `gain ${mine.gain}`}.`
    : `You lose to a bid of ${mine.highest}, and pay nothing.`;
  const told = bid === value ? "" : ` The truth, ${value}, would have gained ${truth.gain}.`;
  const lie = most > truth.gain ? ` By bidding ${top} you would have gained ${most}: here a lie pays.`
    : " No other bid would have gained more than the truth.";
  return result + told + lie;
}

const make = (name, attributes = {}, ...children) => {
  const drawn = ["svg", "path", "line", "circle", "text"].includes(name);
  const node = drawn ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};

const drawn = (top) => Math.floor(Math.random() * top) + 1;

function start(root) {
  const state = { rule: "second", value: 72, bid: 50, rivals: [58, 33], done: false, rounds: 0, gained: 0, truthful: 0 };
  const choice = (rule, words) => {
    const input = make("input", { type: "radio", name: "auction-rule", value: rule, ...(rule === state.rule ? { checked: "" } : {}) });
    input.addEventListener("change", () => { state.rule = rule; fresh(); });
    return make("label", {}, input, ` ${words}`);
  };
  const rules = make("fieldset", {}, make("legend", {}, "The highest bid wins, and pays"),
    choice("second", "the second highest bid"), choice("first", "its own bid"));
  const worth = make("p", { class: "worth" });
  const slider = make("input", { type: "range", min: 0, max: 100, step: 1, "aria-label": "Your bid" });
  const told = make("output", { class: "bid" });
  const label = make("div", { class: "line" }, make("span", {}, "Your bid"), told);
  const picture = make("svg", { role: "img", viewBox: "0 0 600 200" });
  const go = make("button", { type: "button", class: "go" }), said = make("p", { "aria-live": "polite", class: "said" });
  const tally = make("p", { class: "tally" });
  root.replaceChildren(rules, worth, label, slider, picture, make("div", { class: "line" }, go, tally), said);

  const x = (bid) => 20 + bid * 5.6, low = -40, high = 90, y = (gain) => 170 - ((Math.min(high, Math.max(low, gain)) - low) / (high - low)) * 150;

  function draw() {
    const { rule, value, bid, rivals, done } = state;
    picture.replaceChildren();
    const add = (...nodes) => picture.append(...nodes);
    add(make("line", { class: "axis", x1: x(0), x2: x(100), y1: y(0), y2: y(0) }));
    for (const at of [0, 25, 50, 75, 100]) add(make("text", { class: "tick", x: x(at), y: 192, "text-anchor": "middle" }, String(at)));
    add(make("line", { class: "value", x1: x(value), x2: x(value), y1: 22, y2: 176 }));
    add(make("text", { class: "value", x: x(value), y: 14, "text-anchor": value > 85 ? "end" : "middle" }, "its worth to you"));
    if (done) {
      const gain = (b) => outcome(rule, value, b, rivals).gain, edge = Math.max(...rivals);
      const after = rule === "second" ? `H${x(100)}` : `L${x(100)} ${y(value - 100)}`;
      add(make("path", { class: "gain", d: `M${x(0)} ${y(0)}H${x(edge)}V${y(value - edge)}${after}` }));
      for (const rival of rivals) add(make("line", { class: "rival", x1: x(rival), x2: x(rival), y1: y(0) - 7, y2: y(0) + 7 }));
      add(make("circle", { class: "mine", cx: x(bid), cy: y(gain(bid)), r: 7 }));
    } else add(make("circle", { class: "mine", cx: x(bid), cy: y(0), r: 7 }));
    picture.setAttribute("aria-label", done ? `What you gain at each bid. ${said.textContent}` : `Bids from 0 to 100. Yours stands at ${bid}; it is worth ${value} to you.`);
  }

  function show() {
    worth.replaceChildren("One slot is for sale. It is worth ", make("strong", {}, String(state.value)),
      " to you, and only you know it. Two simulated rivals bid as well.");
    slider.value = state.bid;
    told.textContent = state.bid;
    go.textContent = state.done ? "Next round" : `Bid ${state.bid}`;
    said.textContent = state.done ? `The rivals bid ${state.rivals.join(" and ")}. ${sentence(state.rule, state.value, state.bid, state.rivals)}` : "What do you bid?";
    tally.textContent = state.rounds ? `After ${state.rounds} ${state.rounds > 1 ? "rounds" : "round"}: you gained ${state.gained}; always telling the truth would have gained ${state.truthful}.` : "";
    draw();
  }

  function fresh() {
    const worths = [drawn(100), drawn(100)];
    const bids = state.rule === "second" ? worths : worths.map((w) => Math.round((2 / 3) * w)); // as theory says for three bidders
    const again = state.done;
    Object.assign(state, { done: false, rivals: bids, rounds: state.rounds, ...(again ? { value: 30 + drawn(65), bid: 50 } : {}) });
    show();
  }

  function move(bid) {
    if (state.done) return;
    state.bid = Math.min(100, Math.max(0, Math.round(bid)));
    show();
  }

  slider.addEventListener("input", () => (state.done ? show() : move(Number(slider.value))));
  go.addEventListener("click", () => {
    if (state.done) return fresh();
    state.done = true;
    state.rounds += 1;
    state.gained += outcome(state.rule, state.value, state.bid, state.rivals).gain;
    state.truthful += outcome(state.rule, state.value, state.value, state.rivals).gain;
    show();
  });
  const dragged = (event) => {
    const frame = picture.getBoundingClientRect();
    move((((event.clientX - frame.left) / frame.width) * 600 - 20) / 5.6);
  };
  picture.addEventListener("pointerdown", (event) => { picture.setPointerCapture(event.pointerId); dragged(event); event.preventDefault(); });
  picture.addEventListener("pointermove", (event) => picture.hasPointerCapture(event.pointerId) && dragged(event));
  show();
}

if (typeof document !== "undefined") for (const root of document.querySelectorAll(".auction")) start(root);
