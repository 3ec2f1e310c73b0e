// The cart, opened: lines, total, checkout and what goes with it; and the button that opens it.

import { recommend } from "./api.js";
import { smallCard } from "./cards.js";
import { add, buy, lines, onCart, size, take } from "./cart.js";
import { fillDialog, prepare } from "./dialogs.js";
import { announce, button, byId, el, icon } from "./elements.js";
import { count, money, totals } from "./money.js";
import { nod } from "./motion.js";
import { pictureOf } from "./pictures.js";
import { remember, sessionId, userId } from "./shopper.js";

const BESIDE = 3;
let dialog;
let counted = 0;

export function prepareCart() {
  dialog = prepare("cart-dialog");
  byId("cart-button").prepend(icon("bag"));
  byId("cart-button").addEventListener("click", open);
  onCart(() => {
    showCount();
    if (dialog.open) show();
  });
  showCount();
}

function showCount() {
  const number = size();
  const badge = byId("cart-button").querySelector(".cart-count");
  badge.hidden = number === 0;
  badge.textContent = count(number);
  byId("cart-button").setAttribute("aria-label", number ? `Cart, ${number} ${number === 1 ? "item" : "items"}` : "Cart, empty");
  if (number > counted) nod(badge);
  if (number > counted) announce(`${number} in the cart`);
  counted = number;
}

function open() {
  show();
  dialog.showModal();
}

function line({ product, quantity }) {
  const step = (sign, label, click) => button("step", click, { "aria-label": `${label}: ${product.title}` }, icon(sign));
  const remove = () => take(product, { all: true });
  return el("li", { class: "cart-line", "data-key": product.id },
    el("div", { class: "frame" }, pictureOf(product)),
    el("div", { class: "facts" },
      el("h3", { class: "title", dir: "auto" }, product.title),
      el("p", { class: "price" }, money(product.price)),
      el("div", { class: "steps" },
        step("minus", "One less", () => take(product)), el("span", { "aria-label": `${quantity} of it` }, String(quantity)),
        step("plus", "One more", () => add(product)),
        button("quiet", remove, { "aria-label": `Remove ${product.title}` }, "Remove"))));
}

function show() {
  const held = lines();
  const focused = document.activeElement?.getAttribute("aria-label");
  const head = el("h2", { id: "cart-title", tabindex: "-1" }, "Your cart");
  if (!held.length) {
    fillDialog(dialog, head, el("p", { class: "soft" }, "Nothing in it yet."));
  } else {
    const total = totals(held.map(({ product, quantity }) => ({ price: product.price, quantity })));
    const beside = el("div", { class: "beside" });
    fillDialog(dialog, head,
      el("ul", { class: "cart-lines" }, held.map(line)),
      el("div", { class: "cart-total" }, el("span", {}, "Total"), el("b", {}, total)),
      button("solid checkout", checkout, {}, "Buy"),
      el("p", { class: "soft small" }, "A demonstration: nothing is charged and nothing is sent."),
      beside);
    showBeside(beside, held.map(({ product }) => product.id));
  }
  const same = focused && [...dialog.querySelectorAll("button")].find((button) => button.getAttribute("aria-label") === focused);
  (same || dialog.querySelector("#cart-title")).focus({ preventScroll: true });
}

async function showBeside(place, cart) {
  try {
    const ranking = await recommend({ user_id: userId(), session_id: sessionId(), context: "cart", cart, limit: BESIDE });
    if (!place.isConnected || !ranking.items.length) return;
    remember(ranking);
    place.replaceChildren(el("h3", {}, "Goes with it"),
      el("ul", { class: "small-grid" }, ranking.items.map((item) => smallCard(item, { level: "h4" }))));
  } catch (problem) {
    // The cart works without suggestions.
    console.warn(`No suggestions for the cart: ${problem.message}`);
  }
}

async function checkout() {
  await buy();
  fillDialog(dialog, el("h2", { id: "cart-title", tabindex: "-1" }, "Thank you"),
    el("p", {}, "It is yours. What you bought now shapes what the shop shows you."));
  dialog.querySelector("#cart-title").focus();
  announce("Bought. Thank you.");
}

export function closeCart() {
  if (dialog.open) dialog.close();
}
