// People who may leave, and offers: lists that other parts of the service make. Fields that are missing are left out.

import { el } from "./elements.js";
import { percent } from "./insights-charts.js";
import { counted } from "./money.js";

const MOST = 12;

function day(text) {
  const moment = new Date(text);
  return Number.isNaN(moment.getTime()) ? null : new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" }).format(moment);
}

function part(id, title, about, content) {
  return el("section", { class: `part part-${id}`, "aria-labelledby": `${id}-title` },
    el("h2", { id: `${id}-title` }, title), el("p", { class: "part-about soft" }, about), content);
}

/** A list of reasons, each a text or an object with one. */
const texts = (list) => (Array.isArray(list) ? list : list ? [list] : []).map((each) => each?.text ?? String(each));
const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** Days since the last visit, said by the service or counted from a moment. */
function lastVisit(person) {
  if (Number.isFinite(person.last_visit_days)) return `last here ${counted(Math.round(person.last_visit_days), "day")} ago`;
  return person.last_visit && day(person.last_visit) ? `last here ${day(person.last_visit)}` : null;
}

/** After "every": "day", "7 days". */
function gap(days) {
  const whole = Math.max(1, Math.round(days));
  return whole === 1 ? "day" : counted(whole, "day");
}

const person = (id) => el("a", { href: `./#person=${encodeURIComponent(id)}`, dir: "auto" }, id);

export function leavingSection(answer) {
  const people = answer.people ?? [];
  if (!people.length) return null;
  const row = (one) => {
    const facts = [
      lastVisit(one),
      Number.isFinite(one.usual_gap_days) && `usually every ${gap(one.usual_gap_days)}`,
      Number.isFinite(one.visits) && counted(one.visits, "visit"),
    ].filter(Boolean);
    return el("li", { class: "link" },
      el("p", { class: "link-names" }, person(one.user_id)),
      el("p", { class: "link-lift" }, Number.isFinite(one.probability) ? percent(one.probability) : ""),
      el("p", { class: "small soft", dir: "auto" }, [...facts, ...texts(one.reasons)].join("; ")));
  };
  const within = Number.isFinite(answer.days) ? ` in the next ${gap(answer.days)}` : "";
  const rule = answer.calibrated === false ? " No trained forecast is live: a simple rule, not checked against what happened." : "";
  return part("leaving", "People who may leave", `How likely each is not to come back${within}.${rule}`,
    el("ol", { class: "links" }, people.slice(0, MOST).map(row)));
}

/** A text, or the topic of an object with its products. */
const named = (what) => (typeof what === "object" && what !== null ? what.topic ?? what.name ?? what.text ?? "" : String(what ?? ""));

function expectedOf(offer) {
  if (Number.isFinite(offer.expected)) return `${percent(offer.expected)} of them are expected to respond.`;
  return typeof offer.expected === "string" ? `Expected: ${offer.expected}.` : "";
}

export function offersSection(answer) {
  const offers = answer.offers ?? [];
  if (!offers.length) return null;
  const row = (offer) => {
    const ids = Array.isArray(offer.whom) ? offer.whom : [];
    const products = (offer.what?.products ?? []).slice(0, 3).map((one) => one.title).filter(Boolean);
    const said = [...texts(offer.why).map(sentence), expectedOf(offer), typeof offer.whom === "string" && `For ${offer.whom}.`,
      products.length > 0 && `With ${products.join(", ")}.`];
    return el("li", { class: "link" },
      el("p", { class: "link-names" }, el("b", { dir: "auto" }, named(offer.what))),
      el("p", { class: "link-lift" }, Number.isFinite(offer.people) ? counted(offer.people, "person", "people") : ""),
      el("div", {}, el("p", { class: "small soft", dir: "auto" }, said.filter(Boolean).join(" ")),
        ids.length > 0 && el("details", { class: "whom" }, el("summary", { class: "quiet" }, "Whom"),
          el("ul", { class: "link-names" }, ids.map((id) => el("li", {}, person(id)))))));
  };
  return part("offers", "Offers", `What to offer whom. ${answer.basis ? `Expected is ${answer.basis}.` : "No cause is claimed."}`,
    el("ol", { class: "links" }, offers.slice(0, MOST).map(row)));
}
