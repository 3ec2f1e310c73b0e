// The merchandiser's page: asks for the shop-wide view, puts its sections in order, and says how old it is.
// Sections that other parts of the service answer (people who may leave, offers) are shown where they do.

import { insights, leaving, offers, onUnauthorised, shop } from "./api.js";
import { announce, button, byId, el } from "./elements.js";
import { actions, early, falling, follows, rising, rules, segments } from "./insights-findings.js";
import { leavingSection, offersSection } from "./insights-people.js";
import { count, counted } from "./money.js";

const WINDOWS = [[28, "4 weeks"], [56, "8 weeks"], [91, "quarter"], [182, "half year"]];
const AGAIN_MS = 3000;
/** Some three minutes: a million events on a small machine take far less. */
const MOST_TRIES = 60;
let days = null;
let asked = null;

const dateOf = (text) => new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" })
  .format(new Date(text));

function ago(seconds) {
  if (seconds < 90) return "just now";
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} minutes ago` : `${Math.round(minutes / 60)} hours ago`;
}

function showAbout(view) {
  const until = view.as_of ? ` to ${dateOf(view.as_of)}, against the ${view.days} days before` : "";
  byId("about").replaceChildren(
    el("b", {}, counted(view.shoppers, "shopper")), ` in the ${view.days} days${until}. `,
    el("span", { class: "soft" }, `Computed ${ago(view.age_seconds)}${view.being_renewed ? "; a newer view is being made" : ""}. `),
    button("quiet", () => refresh(), {}, "Refresh"));
}

function showChoices(view) {
  const known = WINDOWS.some(([each]) => each === view.days) ? WINDOWS : [[view.days, `${view.days} days`], ...WINDOWS];
  const option = ([each, label]) => el("label", { class: "window" },
    el("input", { type: "radio", name: "days", value: each, checked: each === view.days,
      on: { change: () => { days = each; refresh(); } } }),
    el("span", {}, label));
  const focused = document.activeElement?.name === "days";
  byId("windows").replaceChildren(el("legend", {}, "Compare the last"), ...known.map(option));
  if (focused) byId("windows").querySelector("input:checked")?.focus();
  const select = byId("category");
  if (select.options.length === 1) {
    select.append(...view.categories.map((name) => el("option", { value: name }, name)));
    select.parentElement.hidden = !view.categories.length;
  }
}

function showColophon(view) {
  const rate = Math.round(view.false_alarm_rate * 100);
  byId("colophon").replaceChildren(
    el("p", {}, `Of what is said to rise or fall, at most ${rate} in 100 is chance (Benjamini and Hochberg over all categories).`
      + ` No group under ${view.minimum_people} people is shown. Everybody counts once, however much they did.`),
    el("p", {}, `Read from ${counted(view.events, "event")} of ${counted(view.people, "person", "people")} in ${view.computed_in_seconds.toFixed(1)} seconds.`
      + " Figures tell what happened, not why."));
}

function show(view, others) {
  showAbout(view);
  showChoices(view);
  showColophon(view);
  byId("view").replaceChildren(...[
    view.notes.length && el("ul", { class: "notes" }, view.notes.map((note) => el("li", {}, note))),
    actions(view),
    el("div", { class: "pair" }, rising(view), falling(view)),
    early(view),
    segments(view),
    el("div", { class: "pair" }, follows(view), rules(view)),
    ...others,
  ].filter(Boolean));
  byId("view").setAttribute("aria-busy", "false");
  const up = view.rising.length;
  announce(`${up} ${up === 1 ? "interest rises" : "interests rise"}, ${view.falling.length} fall.`);
}

function showWaiting() {
  byId("view").replaceChildren(el("p", { class: "waiting", role: "status" },
    el("i", { class: "pulse", "aria-hidden": "true" }), "Reading what all shoppers did. The first time takes a few seconds…"));
  byId("view").setAttribute("aria-busy", "true");
}

function showTrouble(problem) {
  byId("view").replaceChildren(el("div", { class: "trouble", role: "alert" },
    el("p", {}, problem.message), button("outline", () => refresh(), {}, "Try again")));
}

/** Waits while the view is computed for the first time: the service answers 503 until it is there. */
async function patiently(call, signal, tries = MOST_TRIES) {
  try {
    return await call();
  } catch (problem) {
    if (problem.status !== 503 || tries <= 1) throw problem;
    await new Promise((done) => setTimeout(done, AGAIN_MS));
    if (signal.aborted) throw problem;
    return patiently(call, signal, tries - 1);
  }
}

/** A section of another part of the service; nothing where it is not there or has nothing to say. */
async function section(call, make) {
  try {
    return make(await call());
  } catch (problem) {
    if (problem.status !== 404) console.warn(`Left out: ${problem.message}`);
    return null;
  }
}

async function refresh() {
  asked?.abort();
  const mine = (asked = new AbortController());
  if (!byId("view").querySelector("section")) showWaiting();
  byId("view").setAttribute("aria-busy", "true");
  const category = byId("category").value;
  try {
    const view = await patiently(() => insights({ days, category, limit: 12 }, mine.signal), mine.signal);
    const others = await Promise.all([
      section(() => leaving(mine.signal), leavingSection), section(() => offers(mine.signal), offersSection)]);
    if (!mine.signal.aborted) show(view, others);
  } catch (problem) {
    if (!mine.signal.aborted) showTrouble(problem);
  }
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
  onUnauthorised(askForKey);
  byId("category").addEventListener("change", () => refresh());
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("content").focus();
  });
  showWaiting();
  try {
    const { name } = await shop();
    byId("shop-name").textContent = name;
    document.title = `What ${name} turns to`;
  } catch (problem) {
    showTrouble(problem);
    return;
  }
  refresh();
}

start();
