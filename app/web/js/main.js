// Puts the page together: asks what shop this is, follows the address, and lets each part know what happened.

import { onUnauthorised, shop as fetchShop } from "./api.js";
import { trouble } from "./cards.js";
import { tellCart } from "./cart.js";
import { closeCart, prepareCart } from "./cart-view.js";
import { prepareChat, restartChat } from "./chat.js";
import { whenInSight } from "./dialogs.js";
import { button, byId, el, icon } from "./elements.js";
import { leaveHome, refreshHome, showHome } from "./home.js";
import { refreshInterests } from "./interests.js";
import { count, roundMoney } from "./money.js";
import { personHere, preparePeople, showPerson } from "./people.js";
import { followProduct, prepareProductView } from "./product-view.js";
import { go, here, onRoute } from "./route.js";
import { leaveSearch, showSearch } from "./search.js";
import { onActed, userId } from "./shopper.js";

/** As many departments as fit a line of a wide screen; the others wait behind a button. */
const DEPARTMENTS = 7;
let shop;
let shown = "";
let shownPerson = null;
let hasAllDepartments = false;

function greetingOf(hour) {
  if (hour < 5) return "Still up";
  if (hour < 12) return "Good morning";
  return hour < 18 ? "Good afternoon" : "Good evening";
}

function showGreeting() {
  const person = personHere();
  const first = person?.name.split(" ")[0];
  const greeting = person ? `${greetingOf(new Date().getHours())}, ${first}` : `Welcome to ${shop.name.replace(/\.$/, "")}`;
  byId("greeting-title").textContent = `${greeting}.`;
  byId("greeting-about").textContent = person?.about ?? "Look around. What you open, add and ask for shapes what the shop shows you next.";
  byId("greeting").hidden = Boolean(here().q);
}

function showBrowse() {
  const { category } = here();
  const names = hasAllDepartments ? [...shop.categories] : shop.categories.slice(0, DEPARTMENTS);
  if (category && !names.includes(category)) names.push(category);
  const hasMore = !hasAllDepartments && shop.categories.length > names.length;
  const all = () => {
    hasAllDepartments = true;
    showBrowse();
    byId("browse").querySelectorAll(".pill")[DEPARTMENTS + 1]?.focus();
  };
  const pill = (name, label) => el("li", {},
    button("pill", () => go({ category: name }), { dir: "auto", "aria-pressed": String(category === name) }, label));
  const place = document.activeElement?.closest(".pill") && [...byId("browse").querySelectorAll(".pill")].indexOf(document.activeElement);
  byId("browse").replaceChildren(el("ul", {}, pill("", "Everything"), names.map((name) => pill(name, name)),
    hasMore && el("li", {}, button("pill pill-more", all, {}, `All ${shop.categories.length}`, icon("plus")))));
  if (typeof place === "number" && place >= 0) byId("browse").querySelectorAll(".pill")[place]?.focus();
}

function showColophon() {
  const { engine } = shop;
  byId("colophon").replaceChildren(
    el("p", {}, `${count(engine.products)} products. Found with ${engine.embedder}. Spoken by ${engine.language_model}.`),
    el("p", { class: "soft" }, "Nothing on this page leaves this machine."));
}

function showView(route) {
  const view = JSON.stringify([userId(), route.q, route.category, route.ignore]);
  if (view === shown) return;
  shown = view;
  document.body.dataset.view = route.q ? "results" : "home";
  byId("search-field").value = route.q;
  document.title = route.q ? `${route.q} · ${shop.name}` : shop.name;
  if (route.q) {
    leaveHome();
    showSearch();
  } else {
    leaveSearch();
    showHome();
  }
}

function follow(route) {
  if (userId() !== shownPerson) {
    const isFirst = shownPerson === null;
    shownPerson = userId();
    showPerson();
    refreshInterests();
    tellCart();
    closeCart();
    if (!isFirst) restartChat();
  }
  showGreeting();
  showBrowse();
  showView(route);
  followProduct(route);
}

function refresh() {
  whenInSight("interests", refreshInterests);
  whenInSight("home", refreshHome);
}

function openTab(name) {
  document.body.dataset.tab = name;
  for (const tab of byId("tabs").querySelectorAll("button")) tab.setAttribute("aria-pressed", String(tab.dataset.tab === name));
  if (name === "assistant") byId("chat-field").focus();
}

function prepareFrame() {
  document.body.dataset.tab = "shop";
  byId("shop-name").textContent = shop.name;
  byId("shop-name").addEventListener("click", (event) => {
    event.preventDefault();
    openTab("shop");
    go({ q: "", category: "", product: "" });
  });
  byId("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    openTab("shop");
    go({ q: byId("search-field").value.trim(), product: "" });
  });
  for (const [tab, sign] of [["shop", "shop"], ["assistant", "talk"]]) {
    const opener = byId("tabs").querySelector(`[data-tab=${tab}]`);
    opener.prepend(icon(sign));
    opener.addEventListener("click", () => openTab(tab));
  }
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("content").focus();
  });
}

function firstQuestions() {
  const [first, second] = shop.categories;
  const price = shop.currency ? ` under ${roundMoney(50, shop.currency)}` : "";
  const questions = [first && `Something from ${first}${price}`, second && `What is good in ${second}?`, "What would you pick for me?"];
  return questions.filter(Boolean);
}

function askForKey() {
  const dialog = byId("key-dialog");
  if (!dialog.open) dialog.showModal();
  // Closed without a key, the call fails, and says so where its answer would have been.
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(byId("key-field").value.trim()), { once: true });
  });
}

async function start() {
  try {
    shop = await fetchShop();
  } catch (problem) {
    byId("view").replaceChildren(trouble(problem, start));
    return;
  }
  byId("view").replaceChildren();
  prepareFrame();
  preparePeople(shop.people);
  prepareProductView();
  prepareCart();
  prepareChat(firstQuestions(), refresh);
  showColophon();
  onActed(refresh);
  onRoute(follow);
  follow(here());
}

byId("search-form").querySelector("button").append(icon("search"));
onUnauthorised(askForKey);
start();
