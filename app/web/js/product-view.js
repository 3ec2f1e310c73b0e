// One product, opened: what it is, why it was shown, what is like it and what goes with it.

import { product as fetchProduct, recommend } from "./api.js";
import { addButton, card, isNamedApart, priceOf, ratingOf, stockOf, trouble } from "./cards.js";
import { fillDialog, prepare } from "./dialogs.js";
import { el } from "./elements.js";
import { pictureOf } from "./pictures.js";
import { go, here } from "./route.js";
import { did, lastShown, remember, sessionId, userId } from "./shopper.js";

const BESIDE = 4;
const GOES_WITH = new Set(["complement", "together"]);
let dialog;
let opened = "";

export function prepareProductView() {
  dialog = prepare("product-dialog", () => {
    opened = "";
    if (here().product) go({ product: "" }, { replace: true });
  });
}

function attributesOf(product) {
  const rows = Object.entries(product.attributes).filter(([, values]) => values.length);
  if (!rows.length) return null;
  const line = ([name, values]) => el("tr", {},
    el("th", { scope: "row", dir: "auto" }, name.replaceAll("_", " ")), el("td", { dir: "auto" }, values.join(", ")));
  return el("table", { class: "attributes" }, el("caption", { class: "hidden-text" }, "Details"), el("tbody", {}, rows.map(line)));
}

function reasonsOf(reasons) {
  if (!reasons?.length) return null;
  return el("div", { class: "why" }, el("h3", {}, "Why you see this"),
    el("ul", {}, reasons.map((reason) => el("li", { dir: "auto" }, reason.text))));
}

function show(product, reasons) {
  const path = product.categories.length ? el("p", { class: "caption", dir: "auto" }, product.categories.join(" / ")) : null;
  const beside = el("div", { class: "beside" });
  fillDialog(dialog,
    el("div", { class: "product" },
      el("div", { class: "frame product-picture" }, pictureOf(product)),
      el("div", { class: "product-facts" },
        path,
        el("h2", { id: "product-title", dir: "auto", tabindex: "-1" }, product.title),
        isNamedApart(product) ? el("p", { class: "brand", dir: "auto" }, `by ${product.brand}`) : null,
        el("div", { class: "figures" }, priceOf(product), ratingOf(product), stockOf(product)),
        el("p", { class: "description", dir: "auto" }, product.description),
        addButton(product, { wide: true }),
        reasonsOf(reasons),
        attributesOf(product))),
    beside);
  return beside;
}

async function showBeside(place, product) {
  const request = { user_id: userId(), session_id: sessionId(), context: "product", product_id: product.id, limit: 3 * BESIDE };
  let ranking;
  try {
    ranking = await recommend(request);
  } catch (problem) {
    if (opened === product.id) place.replaceChildren(trouble(problem, () => showBeside(place, product)));
    return;
  }
  if (opened !== product.id) return;
  remember(ranking);
  const goesWith = ranking.items.filter((item) => GOES_WITH.has(item.reasons[0]?.kind));
  const similar = ranking.items.filter((item) => !goesWith.includes(item));
  const part = (title, items) => items.length > 0 && el("section", {}, el("h3", {}, title),
    el("ul", { class: "grid" }, items.slice(0, BESIDE).map((item) => card(item, "h4"))));
  place.replaceChildren(...[part("Similar", similar), part("Goes well with", goesWith)].filter(Boolean));
}

function showTrouble(problem, id) {
  fillDialog(dialog,
    el("h2", { id: "product-title" }, "This product cannot be shown"), trouble(problem, () => openProduct(id)));
}

/** Shows the product in the dialog and tells the service that it was viewed. */
export async function openProduct(id) {
  opened = id;
  const from = lastShown(id);
  if (from) show(from.product, from.reasons);
  else fillDialog(dialog, el("h2", { id: "product-title" }, "Opening…"));
  if (!dialog.open) dialog.showModal();
  dialog.querySelector(".sheet").scrollTop = 0;
  dialog.querySelector("#product-title").focus({ preventScroll: true });
  try {
    const product = await fetchProduct(id);
    if (opened !== id) return;
    // What was shown before is replaced: price and stock may have changed since.
    const place = show(product, from?.reasons);
    dialog.querySelector("#product-title").focus({ preventScroll: true });
    did("view_item", { productId: id, rankingId: from?.rankingId });
    await showBeside(place, product);
  } catch (problem) {
    if (opened === id) showTrouble(problem, id);
  }
}

/** Brings the dialog in line with the address. */
export function followProduct(route) {
  if (route.product === opened) return;
  if (route.product) openProduct(route.product);
  else if (dialog.open) dialog.close();
}
