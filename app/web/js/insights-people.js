// People who may leave, and offers: lists that other parts of the service make. Fields that are missing are left out.

import { el } from "./elements.js";
import { percent } from "./insights-charts.js";
import { count } from "./money.js";

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

export function leavingSection(answer) {
  const people = answer.people ?? [];
  if (!people.length) return null;
  const row = (person) => {
    const facts = [
      person.last_visit && day(person.last_visit) && `last here ${day(person.last_visit)}`,
      Number.isFinite(person.usual_gap_days) && `usually every ${Math.max(1, Math.round(person.usual_gap_days))} days`,
    ].filter(Boolean);
    return el("li", { class: "link" },
      el("p", { class: "link-names" }, el("a", { href: `./#person=${encodeURIComponent(person.user_id)}`, dir: "auto" }, person.user_id)),
      el("p", { class: "link-lift" }, Number.isFinite(person.probability) ? percent(person.probability) : ""),
      el("p", { class: "small soft", dir: "auto" }, [...facts, ...texts(person.reasons)].join("; ")));
  };
  return part("leaving", "People who may leave", "How likely each is not to come back, by the forecast.",
    el("ol", { class: "links" }, people.slice(0, MOST).map(row)));
}

export function offersSection(answer) {
  const offers = answer.offers ?? [];
  if (!offers.length) return null;
  const said = (value) => (value === null || value === undefined ? "" : typeof value === "object" ? value.text ?? value.name ?? "" : String(value));
  const row = (offer) => {
    const people = Array.isArray(offer.people) ? offer.people.length : offer.people;
    return el("li", { class: "link" },
      el("p", { class: "link-names" }, el("b", { dir: "auto" }, said(offer.what))),
      el("p", { class: "link-lift" }, Number.isFinite(people) ? `${count(people)} people` : ""),
      el("p", { class: "small soft", dir: "auto" }, [said(offer.whom) && `For ${said(offer.whom)}.`, ...texts(offer.why),
        said(offer.expected) && `Expected: ${said(offer.expected)}.`].filter(Boolean).join(" ")));
  };
  return part("offers", "Offers", "What to offer whom, by what was answered before. No cause is claimed.",
    el("ol", { class: "links" }, offers.slice(0, MOST).map(row)));
}
