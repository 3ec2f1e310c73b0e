// Who is shopping: one of the featured people or a new visitor, and what they do, told to the service.

import { record } from "./api.js";
import { here } from "./route.js";

const VISITOR = "tasteline.visitor";
const SESSION = "tasteline.session";
const watchers = [];

function kept(name, prefix) {
  let id = sessionStorage.getItem(name);
  if (!id) {
    id = `${prefix}-${crypto.randomUUID()}`;
    sessionStorage.setItem(name, id);
  }
  return id;
}

/** The id that recommendations, interests and events are asked for. */
export const userId = () => here().person || kept(VISITOR, "visitor");
export const sessionId = () => kept(SESSION, "session");

export function freshVisitor() {
  sessionStorage.removeItem(VISITOR);
}

/** Called after the service has acknowledged something that the shopper did. */
export function onActed(watcher) {
  watchers.push(watcher);
}

/** Tells the service what the shopper did. A lost event must not stop the shopper: it is only logged. */
export async function did(event, { productId, query, quantity, rankingId } = {}) {
  const told = {
    event_id: crypto.randomUUID(),
    event,
    user_id: userId(),
    session_id: sessionId(),
    product_id: productId,
    query,
    quantity,
    ranking_id: rankingId,
    time: new Date().toISOString(),
  };
  try {
    await record(told);
  } catch (problem) {
    console.warn(`The shop did not take the event: ${problem.message}`);
    return;
  }
  for (const watcher of watchers) watcher(told);
}

/** Where a product was last shown: its ranking and the reasons given there. */
const shown = new Map();

export function remember(ranking) {
  for (const item of ranking.items ?? []) {
    shown.set(item.product.id, { rankingId: ranking.ranking_id, reasons: item.reasons, product: item.product });
  }
}

export const lastShown = (productId) => shown.get(productId);
