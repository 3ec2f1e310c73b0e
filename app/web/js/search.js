// Search results: what was understood, what was found, and what would fit when nothing does.

import { search } from "./api.js";
import { degradedNote, grid, trouble } from "./cards.js";
import { chips, relaxations } from "./chips.js";
import { announce, button, byId, el } from "./elements.js";
import { count } from "./money.js";
import { go, here } from "./route.js";
import { did, userId } from "./shopper.js";

const PAGE = 12;
const MOST = 96;
let running = null;
let told = "";

function requestOf(route, limit) {
  const filters = route.category ? { categories: [route.category] } : {};
  return { query: route.q, filters, user_id: userId(), limit, ignore: route.ignore };
}

const take = (key) => go({ ignore: [...new Set([...here().ignore, key])] });
const restore = (key) => go({ ignore: here().ignore.filter((other) => other !== key) });

function layOut(route) {
  const cards = grid();
  const parts = {
    cards,
    heading: el("h1", { class: "results-title", tabindex: "-1", dir: "auto" }, `“${route.q}”`),
    found: el("p", { class: "results-found" }),
    understood: el("div", { class: "understood" }),
    extra: el("div", { class: "results-extra" }),
  };
  parts.section = el("section", { class: "results", "aria-label": "Search results" },
    parts.heading, parts.found, parts.understood, cards.list, parts.extra);
  return parts;
}

function nothing(ranking) {
  const offers = relaxations(ranking.relaxations, take);
  return el("div", { class: "nothing" },
    el("p", { class: "nothing-title" }, "Nothing in the shop fits all of that."),
    el("p", {}, offers ? "Let go of one wish and something does:" : "Try fewer or other words, or ask the assistant."),
    offers);
}

/** `total` counts what carries every word; what is only near in meaning may be shown beyond it. */
function countOf({ items, total }) {
  if (items.length === 0) return "Nothing found";
  if (total < items.length) return `${count(items.length)} products, closest first`;
  return total === 1 ? "1 product fits" : `${count(total)} products fit, best first`;
}

function showFound(parts, ranking, route, limit) {
  const none = ranking.items.length === 0;
  const words = countOf(ranking);
  parts.found.textContent = route.category ? `${words}, in ${route.category}` : words;
  announce(parts.found.textContent);
  const list = chips(ranking.understood, { ignored: route.ignore, take, restore });
  parts.understood.replaceChildren(...(list ? [el("span", { class: "understood-word" }, "Understood:"), list] : []));
  parts.cards.show(ranking, "h2");
  const more = ranking.items.length >= limit && limit < MOST;
  const showMore = more && button("outline more", () => load(parts, route, limit + PAGE, true), {}, "Show more");
  parts.extra.replaceChildren(...[none && nothing(ranking), degradedNote(ranking.degraded), showMore].filter(Boolean));
}

async function load(parts, route, limit, quietly = false) {
  running?.abort();
  const control = new AbortController();
  running = control;
  if (!quietly) parts.cards.loading(PAGE);
  parts.extra.replaceChildren();
  try {
    const ranking = await search(requestOf(route, limit), control.signal);
    if (control.signal.aborted) return;
    showFound(parts, ranking, route, limit);
    tell(route, ranking);
  } catch (problem) {
    if (control.signal.aborted) return;
    parts.found.textContent = "";
    parts.cards.clear();
    parts.extra.replaceChildren(trouble(problem, () => load(parts, route, limit)));
  }
}

/** A query counts once as a search, however often its chips change. */
function tell(route, ranking) {
  const words = `${userId()} ${route.q}`;
  if (words === told) return;
  told = words;
  did("search", { query: route.q, rankingId: ranking.ranking_id });
}

export function showSearch() {
  const route = here();
  const view = byId("view");
  const hadFocus = view.contains(document.activeElement);
  const parts = layOut(route);
  view.replaceChildren(parts.section);
  if (hadFocus) parts.heading.focus({ preventScroll: true });
  return load(parts, route, PAGE);
}

export function leaveSearch() {
  running?.abort();
  told = "";
}
