// The cart's contents, kept in this tab for each person, and what happens when they change.

import { did, lastShown, userId } from "./shopper.js";

const watchers = [];

const keyOf = () => `tasteline.cart.${userId()}`;

/** Lines `{product, quantity}`. */
export function lines() {
  return JSON.parse(sessionStorage.getItem(keyOf()) ?? "[]");
}

function keep(changed) {
  sessionStorage.setItem(keyOf(), JSON.stringify(changed));
  tellCart();
}

export function onCart(watcher) {
  watchers.push(watcher);
}

/** Also to be called when somebody else is shopping. */
export function tellCart() {
  for (const watcher of watchers) watcher();
}

export const quantityOf = (id) => lines().find((line) => line.product.id === id)?.quantity ?? 0;
export const size = () => lines().reduce((sum, line) => sum + line.quantity, 0);

export function add(product) {
  const held = lines();
  const line = held.find((other) => other.product.id === product.id);
  if (line) line.quantity += 1;
  else held.push({ product, quantity: 1 });
  keep(held);
  return did("add_to_cart", { productId: product.id, rankingId: lastShown(product.id)?.rankingId });
}

/** Takes one away, or the whole line. */
export function take(product, { all = false } = {}) {
  const held = lines();
  const line = held.find((other) => other.product.id === product.id);
  if (!line) return undefined;
  const quantity = all ? line.quantity : 1;
  line.quantity -= quantity;
  keep(held.filter((other) => other.quantity > 0));
  return did("remove_from_cart", { productId: product.id, quantity });
}

/** Buys everything; the service learns of each line. */
export async function buy() {
  const bought = lines();
  keep([]);
  for (const { product, quantity } of bought) {
    await did("purchase", { productId: product.id, quantity, rankingId: lastShown(product.id)?.rankingId });
  }
  return bought;
}

