// What a request was taken to mean, as chips that can be taken back and put back one by one.

import { button, el, icon } from "./elements.js";

const SORTS = {
  price_asc: "Cheapest first",
  price_desc: "Dearest first",
  rating: "Best rated first",
  popular: "Most popular first",
};
/** Labels seen so far by key, for chips that were taken back and that the service no longer names. */
const labels = new Map();

/** `take(key)` and `restore(key)` are called on a click. Returns null where nothing was understood. */
export function chips(understood, { ignored = [], take, restore }) {
  const constraints = understood?.constraints ?? [];
  for (const { key, label } of constraints) labels.set(key, label);
  const live = constraints.filter((constraint) => !ignored.includes(constraint.key));
  const sort = SORTS[understood?.sort];
  if (!live.length && !ignored.length && !sort) return null;
  return el("ul", { class: "chips", "aria-label": "Understood from your words" },
    live.map(({ key, label }) => el("li", {}, chip(label, "close", `Remove: ${label}`, () => take(key)))),
    ignored.map((key) => {
      const label = labels.get(key) ?? key;
      return el("li", {}, chip(label, "undo", `Put back: ${label}`, () => restore(key), "chip-gone"));
    }),
    sort ? el("li", { class: "chip chip-fixed" }, sort) : null);
}

function chip(label, sign, said, click, more = "") {
  return button(`chip ${more}`, click, { "aria-label": said }, el("span", { dir: "auto" }, label), icon(sign));
}

/** "Without 'under $20': 14 products"; `take(key)` on a click. */
export function relaxations(found, take) {
  if (!found?.length) return null;
  for (const { key, label } of found) labels.set(key, label);
  const offer = ({ key, label, would_match: number }) => el("li", {},
    button("outline", () => take(key), {}, `Without “${label}”: ${number} ${number === 1 ? "product" : "products"}`));
  return el("ul", { class: "relaxations" }, found.map(offer));
}
