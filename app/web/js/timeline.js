// A person's interests over time: one lane for each topic, all on the same time axis, and what changed when.
// Takes the `timeline` and the `drifts` of an answer, gives nodes. Knows no service and no shopper.

import { el, svg } from "./elements.js";

const WIDTH = 300;
const HEIGHT = 34;
/** Drifts that are marked: the latest. */
const MARKED = 3;
/** Lanes below this share stay flat, so that a lane of small interests does not look like a large one. */
const LEAST_SCALE = 0.3;

const x = (place, count) => (count < 2 ? WIDTH : (WIDTH * place) / (count - 1));
const y = (share, scale) => HEIGHT - 1 - (HEIGHT - 3) * Math.min(1, share / scale);
const point = (share, place, count, scale) => `${x(place, count).toFixed(1)} ${y(share, scale).toFixed(1)}`;

function path(shares, scale) {
  const all = shares.length < 2 ? [shares[0], shares[0]] : shares;
  return `M${all.map((share, place) => point(share, place, all.length, scale)).join("L")}`;
}

const percent = (share) => `${Math.round(share * 100)} %`;
const dayOf = (time, options = { day: "numeric", month: "long" }) => new Date(time).toLocaleDateString(undefined, options);
const isNow = (time) => Date.now() - new Date(time) < 3 * 86_400_000;
const isThisYear = (time) => Date.now() - new Date(time) < 330 * 86_400_000;

/** "2 September", with the year where that is not clear. */
export const dateOf = (time) => dayOf(time, { day: "numeric", month: "long", ...(isThisYear(time) ? {} : { year: "numeric" }) });

/** What a lane shows, in words. */
function told(line, { moments }) {
  const peak = line.short_term.indexOf(Math.max(...line.short_term));
  const time = moments[peak]?.time;
  const most = time ? `, most around ${dayOf(time)}` : "";
  return `${line.topic}: recent attention ${percent(line.short_term.at(-1))}${most}; lasting attention from `
    + `${percent(line.long_term[0])} to ${percent(line.long_term.at(-1))}`;
}

/** Mean over neighbours: a single visit should not look like a fashion. */
function calmed(shares) {
  if (shares.length < 12) return shares;
  return shares.map((_, place) => {
    const near = shares.slice(Math.max(0, place - 1), place + 2);
    return place === shares.length - 1 ? shares[place] : near.reduce((sum, share) => sum + share, 0) / near.length;
  });
}

/** The lane of one topic; `marks` are drifts with their place and number. */
export function lane(line, timeline, marks, scale) {
  const recent = path(calmed(line.short_term), scale);
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": told(line, timeline) },
    svg("path", { class: "lane-now", d: `${recent}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z` }),
    svg("path", { class: "lane-now-edge", d: recent }),
    svg("path", { class: "lane-long", d: path(line.long_term, scale) }));
  const turns = marks.map((mark) => {
    const turn = el("i", { class: `turn${mark.drift.to.includes(line.broad) ? " turn-to" : ""}`, "aria-hidden": "true" });
    turn.style.insetInlineStart = `${mark.place * 100}%`;
    return turn;
  });
  return el("div", { class: "lane" }, picture, turns);
}

/** The scale of all lanes together: equal heights mean equal shares. */
export const scaleOf = (lines) => Math.max(LEAST_SCALE, ...lines.flatMap((line) => [...line.long_term, ...calmed(line.short_term)]));

/** Up to here a number would stand upon the date at the beginning of the axis, and half as far from its end. */
const COVERED = 0.25;

/** The latest drifts, each with its place from 0 (the first moment) to 1 (now). */
export function marksOf({ moments }, drifts) {
  const [first, last] = [moments[0], moments.at(-1)];
  return drifts.slice(-MARKED).map((drift, number) => {
    const [from, to, at] = drift.since
      ? [first?.time, last?.time, drift.since].map((time) => new Date(time).getTime())
      : [first?.step, last?.step, drift.step];
    return { drift, number: number + 1, place: to > from ? Math.min(1, Math.max(0, (at - from) / (to - from))) : 1 };
  });
}

const listed = (names) => names.join(" and ");

/** Below the lanes: when they begin and end, and the numbers of the drifts. */
export function axis({ moments, unit }, marks) {
  const begin = unit === "step" ? "first step" : dateOf(moments[0].time);
  const latest = moments.at(-1).time;
  const end = unit === "step" ? "last step" : isNow(latest) ? "now" : dateOf(latest);
  const isFree = (from, to) => marks.every((mark) => mark.place < from || mark.place > to);
  const numbers = marks.map((mark) => {
    const sign = el("b", { class: "turn-number" }, String(mark.number));
    sign.style.insetInlineStart = `${mark.place * 100}%`;
    return sign;
  });
  return el("div", { class: "axis", "aria-hidden": "true" },
    el("div", { class: "axis-line" }, el("span", {}, isFree(0, COVERED) ? begin : ""), el("span", {}, isFree(1 - COVERED / 2, 1) ? end : ""), numbers));
}

/** The drifts in words, the latest first. */
export function turnsInWords(marks) {
  const line = ({ drift, number }) => el("li", {},
    el("b", { class: "turn-number", "aria-hidden": "true" }, String(number)),
    el("span", { dir: "auto" }, "From ", el("b", { class: "turn-from" }, listed(drift.from)), " to ", el("b", {}, listed(drift.to)),
      el("span", { class: "soft" }, drift.since ? `, ${dateOf(drift.since)}` : `, at step ${drift.step}`)));
  return [...marks].reverse().map(line);
}
