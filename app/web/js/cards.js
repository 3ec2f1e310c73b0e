// Product cards: the large one of the grids and the small one of chat, cart and product view.

import { add, onCart, quantityOf } from "./cart.js";
import { button, el, icon, star } from "./elements.js";
import { count, money } from "./money.js";
import { glide } from "./motion.js";
import { pictureOf } from "./pictures.js";
import { go } from "./route.js";
import { remember } from "./shopper.js";

const LOW_STOCK = 5;

export function ratingOf(product) {
  if (product.rating === null || product.rating === undefined) return null;
  const stars = product.rating.toFixed(1);
  const by = product.rating_count ? `(${count(product.rating_count)})` : "";
  const said = `Rated ${stars} of 5${product.rating_count ? ` by ${count(product.rating_count)} shoppers` : ""}`;
  return el("p", { class: "rating" }, star(), el("span", { "aria-hidden": "true" }, `${stars} `, el("small", {}, by)),
    el("span", { class: "hidden-text" }, said));
}

export function stockOf(product) {
  const { stock } = product;
  if (stock === null || stock === undefined || stock > LOW_STOCK) return null;
  if (stock === 0) return el("p", { class: "stock stock-none" }, "Out of stock");
  return el("p", { class: "stock" }, `Only ${count(stock)} left`);
}

export function priceOf(product) {
  return el("p", { class: "price" }, money(product.price) || el("span", { class: "soft" }, "Price on request"));
}

/** The product of each add button, so that one watcher can bring all that are on the page up to date. */
const addable = new WeakMap();

function showHeld(adding) {
  const { product, wide } = addable.get(adding);
  const held = quantityOf(product.id);
  const label = product.stock === 0 ? "Out of stock" : held ? "Add another" : "Add to cart";
  adding.classList.toggle("held", held > 0);
  if (wide) {
    adding.textContent = held ? `${label} (${held} in the cart)` : label;
    return;
  }
  adding.replaceChildren(icon(held ? "check" : "plus"));
  adding.setAttribute("aria-label", `${label}: ${product.title}`);
}

onCart(() => document.querySelectorAll("button.add").forEach(showHeld));

/** `wide`: with words; else a round button with a sign. */
export function addButton(product, { wide = false } = {}) {
  const look = wide ? "add solid" : "add add-round";
  const adding = button(look, () => add(product), { disabled: product.stock === 0 });
  addable.set(adding, { product, wide });
  showHeld(adding);
  return adding;
}

function titleOf(product, level) {
  const open = button("open", () => go({ product: product.id }), { dir: "auto" }, product.title);
  return el(level, { class: "title" }, open);
}

export function reasonOf(reasons) {
  const text = reasons?.[0]?.text;
  return text ? el("p", { class: "reason", dir: "auto" }, text) : null;
}

/** Many feeds begin the title with the brand: then it need not be said twice. */
export const isNamedApart = (product) => Boolean(product.brand) && !product.title.startsWith(product.brand);

/** A large card. `level` is the heading's tag, so that the order of headings stays right wherever it stands. */
export function card({ product, reasons }, level = "h3") {
  const caption = isNamedApart(product) ? product.brand : product.categories.slice(0, 2).at(-1);
  return el("li", { class: "card", "data-key": product.id },
    el("div", { class: "frame" }, pictureOf(product), stockOf(product)),
    el("div", { class: "facts" },
      caption ? el("p", { class: "caption", dir: "auto" }, caption) : null,
      titleOf(product, level),
      el("div", { class: "figures" }, priceOf(product), ratingOf(product)),
      reasonOf(reasons)),
    addButton(product));
}

/** A small card, in a row; `ordinal` is what "the second one" refers to. */
export function smallCard({ product, reasons }, { ordinal = null, level = "p" } = {}) {
  return el("li", { class: "small-card", "data-key": product.id },
    el("div", { class: "frame" }, pictureOf(product), ordinal ? el("span", { class: "ordinal" }, String(ordinal)) : null),
    el("div", { class: "facts" },
      titleOf(product, level),
      el("div", { class: "figures" }, priceOf(product), ratingOf(product), stockOf(product)),
      reasonOf(reasons)),
    addButton(product));
}

/** A grid that keeps its cards' places in motion when its ranking changes; the focus stays with its product. */
export function grid() {
  const list = el("ul", { class: "grid" });
  return {
    list,
    loading(number = 8) {
      list.setAttribute("aria-busy", "true");
      list.replaceChildren(...Array.from({ length: number }, skeleton));
    },
    show(ranking, level) {
      remember(ranking);
      const focused = document.activeElement?.closest?.("[data-key]");
      const key = list.contains(focused) ? focused.dataset.key : null;
      list.removeAttribute("aria-busy");
      glide(list, () => list.replaceChildren(...ranking.items.map((item) => card(item, level))));
      if (!key) return;
      const place = [...list.children].find((child) => child.dataset.key === key) ?? list;
      place.querySelector(".open")?.focus({ preventScroll: true });
    },
    clear: () => list.replaceChildren(),
  };
}

function skeleton() {
  return el("li", { class: "card skeleton", "aria-hidden": "true" }, el("div", { class: "frame" }), el("i"), el("i"), el("i"));
}

/** What went wrong, for people, with a way on. */
export function trouble(problem, retry) {
  return el("div", { class: "trouble", role: "alert" },
    el("p", { class: "trouble-title" }, "That did not work."),
    el("p", { dir: "auto" }, problem.message),
    button("solid", retry, {}, "Try again"));
}

const LEFT_OUT = {
  wording: "the language model’s words",
  meaning: "the search by meaning",
  rank: "your own taste",
  judge: "the language model’s opinion",
  reranker: "a second look at the best results",
  interests: "your interests",
  listen: "the language model’s reading of your words",
  remember: "keeping this conversation",
  history: "the earlier messages",
};

/** Only words are missing when a model was late: what is shown is as good as ever. */
export function degradedNote(stages) {
  if (!stages?.length) return null;
  const names = [...new Set(stages)].map((stage) => LEFT_OUT[stage] ?? stage);
  const harmless = stages.every((stage) => stage === "wording");
  return el("p", { class: "degraded" },
    `Answered without ${names.join(", ")}${harmless ? "." : ", so this may be rougher than usual."}`);
}
