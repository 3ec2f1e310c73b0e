// The first view: rows of recommendations for whoever is shopping, or one department as they would like it.

import { recommend } from "./api.js";
import { degradedNote, grid, trouble } from "./cards.js";
import { lines } from "./cart.js";
import { byId, el } from "./elements.js";
import { here } from "./route.js";
import { sessionId, userId } from "./shopper.js";

let rows = [];
/** Counts the views drawn, so that an answer to an old one is dropped. */
let drawn = 0;

function makeRow({ title, note, request, number }) {
  const cards = grid();
  const extra = el("div", { class: "row-extra" });
  const heading = el("h2", { class: "row-title", dir: "auto" }, title);
  const section = el("section", { class: "row" },
    el("div", { class: "row-head" }, heading, el("p", { class: "row-note" }, note)), cards.list, extra);
  return { section, cards, extra, request, number };
}

async function load(row, { quietly = false } = {}) {
  const mine = drawn;
  if (!quietly) row.cards.loading(row.number);
  row.extra.replaceChildren();
  try {
    const ranking = await recommend({ user_id: userId(), session_id: sessionId(), limit: row.number, ...row.request() });
    if (mine !== drawn) return;
    row.section.hidden = ranking.items.length === 0;
    row.cards.show(ranking, "h3");
    const note = degradedNote(ranking.degraded);
    if (note) row.extra.append(note);
  } catch (problem) {
    if (mine !== drawn) return;
    row.cards.clear();
    row.extra.append(trouble(problem, () => load(row)));
  }
}

function rowsOf(route) {
  if (route.category) {
    const filters = { categories: [route.category] };
    return [{ title: route.category, note: "Yours first", number: 24, request: () => ({ context: "home", filters }) }];
  }
  const home = { title: "For you right now", note: "Follows what you open, add and look for", number: 8, request: () => ({ context: "home" }) };
  const welcome = { title: "Around the shop", note: "Popular, new, and a little of everything", number: 8,
    request: () => ({ context: "welcome", user_id: undefined, session_id: undefined }) };
  const cart = lines().map((line) => line.product.id);
  if (!cart.length) return [home, welcome];
  const withCart = { title: "Goes with your cart", note: "", number: 4, request: () => ({ context: "cart", cart }) };
  return [home, withCart, welcome];
}

export function showHome() {
  drawn += 1;
  rows = rowsOf(here()).map(makeRow);
  byId("view").replaceChildren(...rows.map((row) => row.section));
  return Promise.all(rows.map((row) => load(row)));
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
