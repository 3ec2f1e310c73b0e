// One answer of the assistant while it streams: words, and the products that the words are about.
//
// An answer often lists its products, "1. Oak Desk: $90, …". The card says the same and more, so the card is shown in the
// line's place, at the moment that the line comes; words before and after the list stay words.

import { smallCard } from "./cards.js";
import { el } from "./elements.js";
import { remember } from "./shopper.js";

/** Splits a text that may still be growing: `{before, listed, after}`, where `listed` counts the products named so far. */
export function splitAtList(text, titles) {
  const parts = { before: [], listed: 0, after: [] };
  const lines = text.split("\n");
  lines.forEach((line, place) => {
    const isGrowing = place === lines.length - 1;
    const wanted = titles[parts.listed] === undefined ? null : `${parts.listed + 1}. ${titles[parts.listed]}`;
    const isListed = wanted !== null && line !== "" && (line.startsWith(wanted) || (isGrowing && wanted.startsWith(line)));
    if (isListed) parts.listed += 1;
    else (parts.listed ? parts.after : parts.before).push(line);
  });
  return { before: parts.before.join("\n").trimEnd(), listed: parts.listed, after: parts.after.join("\n").trim() };
}

export class Answer {
  #text = "";
  #items = [];

  constructor() {
    this.before = el("p", { class: "answer-text waiting streaming", dir: "auto" });
    this.products = el("ol", { class: "answer-products" });
    this.after = el("p", { class: "answer-text", dir: "auto" });
    this.chips = el("div", { class: "understood" });
    this.end = el("div", { class: "answer-end" });
    this.element = el("div", { class: "said said-by-shop" }, el("span", { class: "hidden-text" }, "Shop: "),
      this.chips, this.before, this.products, this.after, this.end);
  }

  say(words) {
    this.#text += words;
    this.before.classList.remove("waiting");
    this.#show(false);
  }

  /** The products, in the order that "the second one" counts by. */
  offer(items, rankingId) {
    this.#items = items;
    remember({ ranking_id: rankingId, items });
    this.#show(false);
  }

  finish() {
    this.#show(true);
    for (const text of [this.before, this.after]) text.classList.remove("waiting", "streaming");
  }

  #show(isWhole) {
    const { before, listed, after } = splitAtList(this.#text, this.#items.map((item) => item.product.title));
    this.before.textContent = before;
    this.after.textContent = after;
    this.before.classList.toggle("streaming", !listed);
    this.after.classList.toggle("streaming", listed > 0);
    this.#showProducts(isWhole ? this.#items.length : listed);
  }

  /** Cards that are there already stay: a screen reader would read them again. */
  #showProducts(number) {
    const shown = [...this.products.children];
    const isSame = shown.every((card, place) => card.dataset.key === this.#items[place]?.product.id);
    if (!isSame) this.products.replaceChildren();
    for (let place = this.products.children.length; place < number; place += 1) {
      this.products.append(smallCard(this.#items[place], { ordinal: place + 1 }));
    }
  }
}
