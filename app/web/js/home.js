// The first view: rows of recommendations for whoever is shopping, or one department as they would like it.

import { recommend } from "./api.js";
import { degradedNote, grid, trouble } from "./cards.js";
import { lines } from "./cart.js";
import { byId, el } from "./elements.js";
import { here } from "./route.js";
import { sessionId, userId } from "./shopper.js";
import { answers, endWelcome, forgetAnswers, isNewcomer, welcomePanel } from "./welcome.js";

let rows = [];
/** Counts the views drawn, so that an answer to an old one is dropped. */
let drawn = 0;

function makeRow({ title, note, request, number, asks = false }) {
  const cards = grid();
  const asking = el("div", { class: "row-asking" });
  const extra = el("div", { class: "row-extra" });
  const heading = el("h2", { class: "row-title", dir: "auto" }, title);
  const section = el("section", { class: "row" },
    el("div", { class: "row-head" }, heading, el("p", { class: "row-note" }, note)), asking, cards.list, extra);
  return { section, cards, asking, extra, request, number, asks, shown: [] };
}

/** The question of the shop above the row; the keyboard stays where it was: in the panel. */
function showQuestion(row, question) {
  const wasInside = row.asking.contains(document.activeElement);
  const panel = row.asks && isNewcomer() ? welcomePanel(question, () => load(row, { quietly: true })) : null;
  row.asking.replaceChildren(...(panel ? [panel] : []));
  if (wasInside) panel?.querySelector(".welcome-question, button")?.focus();
}

async function load(row, { quietly = false, without = [] } = {}) {
  const mine = drawn;
  if (!quietly) row.cards.loading(row.number);
  row.extra.replaceChildren();
  try {
    const request = { user_id: userId(), session_id: sessionId(), limit: row.number, exclude_ids: without, ...row.request() };
    const ranking = await recommend(request);
    if (mine !== drawn) return;
    if (row.asks && isNewcomer() && !ranking.question && !answers().length) {
      endWelcome();
      await load(row, { quietly, without });
      return;
    }
    showQuestion(row, ranking.question);
    row.shown = ranking.items.map((item) => item.product.id);
    row.section.hidden = ranking.items.length === 0;
    row.cards.show(ranking, "h3");
    const note = degradedNote(ranking.degraded);
    if (note) row.extra.append(note);
  } catch (problem) {
    if (mine !== drawn) return;
    if (problem.status === 404 && row.asks && answers().length) {
      // The shop has changed and no longer asks that.
      forgetAnswers();
      await load(row, { quietly, without });
      return;
    }
    row.cards.clear();
    row.extra.append(trouble(problem, () => load(row, { without })));
  }
}

function rowsOf(route) {
  if (route.category) {
    const filters = { categories: [route.category] };
    return [{ title: route.category, note: "Yours first", number: 24, request: () => ({ context: "home", filters }) }];
  }
  const home = { title: "For you right now", note: "Follows what you open, add and look for", number: 8,
    asks: true, request: () => (isNewcomer() ? { context: "welcome", answers: answers() } : { context: "home" }) };
  const welcome = { title: "Around the shop", note: "Popular, new, and a little of everything", number: 8,
    request: () => ({ context: "welcome", user_id: undefined, session_id: undefined }) };
  const cart = lines().map((line) => line.product.id);
  if (!cart.length) return [home, welcome];
  const withCart = { title: "Goes with your cart", note: "", number: 4, request: () => ({ context: "cart", cart }) };
  return [home, withCart, welcome];
}

export async function showHome() {
  drawn += 1;
  const mine = drawn;
  rows = rowsOf(here()).map(makeRow);
  for (const row of rows) row.cards.loading(row.number);
  byId("view").replaceChildren(...rows.map((row) => row.section));
  const [first, ...others] = rows;
  await load(first);
  // The rows below show something else than the first.
  if (mine === drawn) await Promise.all(others.map((row) => load(row, { without: first.shown })));
}

/** Asks anew for what follows the shopper; the welcome row stays as it is. */
export function refreshHome() {
  if (!rows.length || here().q) return;
  load(rows[0], { quietly: true });
}

export function leaveHome() {
  drawn += 1;
  rows = [];
}
