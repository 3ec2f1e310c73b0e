// "Your interests": for each topic what draws the shopper lately beside what lastingly does, over time, and its turns.

import { interests } from "./api.js";
import { byId, announce, el, icon } from "./elements.js";
import { glide } from "./motion.js";
import { userId } from "./shopper.js";
import { axis, lane, marksOf, scaleOf, turnsInWords } from "./timeline.js";

const SHOWN = 5;
/** Of what draws the shopper most now, so many are always among them. */
const SURE = 2;
/** Narrower topics named under a lane. */
const WITHIN = 2;
const percent = (share) => `${Math.round(share * 100)} %`;

let shownFor = null;
let leading = null;
/** Recent shares shown last, by topic, so that what moved lights up. */
let before = new Map();

/** Which of the lane's narrower topics draw the shopper now; nothing where there is no narrower one. */
function within(line, timeline) {
  const parts = timeline.topics.filter((each) => each.broad === line.topic && each.topic !== line.topic);
  const strength = (each) => each.short_term.at(-1) || each.long_term.at(-1) / 100;
  const strongest = parts.sort((a, b) => strength(b) - strength(a)).slice(0, WITHIN);
  return strongest.map((each) => each.topic.split(" › ").at(-1)).join(", ");
}

function topic(line, timeline, marks, scale) {
  const [now, long] = [line.short_term.at(-1), line.long_term.at(-1)];
  const old = before.get(line.topic);
  const moved = old !== undefined && Math.abs(old - now) > 0.004;
  const parts = within(line, timeline);
  return el("li", { class: `topic trend-${line.trend}${moved ? " moved" : ""}`, "data-key": line.topic },
    el("p", { class: "topic-name", dir: "auto" }, line.topic, parts ? el("small", { class: "soft" }, parts) : null),
    lane(line, timeline, marks, scale),
    el("p", { class: "shares" },
      el("span", { class: "hidden-text" }, "lately "), el("b", {}, percent(now)),
      el("span", { class: "hidden-text" }, ", over time "), el("span", { class: "soft" }, percent(long)),
      el("span", { class: "trend" }, line.trend === "steady" ? null : icon(line.trend), line.trend)));
}

/** What draws the shopper now, both sides of the turns that are marked, and what else there is room for. */
function choose(lines, marks) {
  const turned = [...marks].reverse().flatMap(({ drift }) => [...drift.to, ...drift.from]);
  const strongest = [...lines].sort((a, b) => b.short_term.at(-1) - a.short_term.at(-1)).slice(0, SURE);
  const named = turned.map((name) => lines.find((line) => line.topic === name)).filter(Boolean);
  const lasting = [...lines].sort((a, b) => b.long_term.at(-1) - a.long_term.at(-1));
  const chosen = new Set([...new Set([...strongest, ...named, ...lasting])].slice(0, SHOWN));
  const shown = (line) => Math.round(100 * line.short_term.at(-1));
  return lasting.filter((line) => chosen.has(line)).sort((a, b) => shown(b) - shown(a));
}

/** What the service says of the shopper in sentences: the template's, or a model's that its check let pass. */
function inWords(summary) {
  const words = byId("interests-words");
  words.textContent = summary.map((sentence) => sentence.text).join(" ");
  words.hidden = summary.length === 0;
}

function show({ interests: found, summary, timeline, drifts }) {
  const lines = timeline.groups.length ? timeline.groups : timeline.topics;
  const marks = lines.length ? marksOf(timeline, drifts) : [];
  const top = choose(lines, marks);
  const scale = scaleOf(top);
  byId("interests-none").hidden = top.length > 0;
  inWords(summary);
  byId("interests-legend").hidden = top.length === 0;
  const list = byId("topics");
  glide(list, () => list.replaceChildren(...top.map((line) => topic(line, timeline, marks, scale))));
  byId("interests-axis").replaceChildren(...(top.length ? [axis(timeline, marks)] : []));
  byId("turns").replaceChildren(...turnsInWords(marks));
  if (leading !== null && found[0] && found[0].topic !== leading) announce(`${found[0].topic} now leads your interests.`);
  leading = found[0]?.topic ?? null;
  before = new Map(lines.map((line) => [line.topic, line.short_term.at(-1)]));
}

const NOTHING = { interests: [], summary: [], timeline: { unit: "step", moments: [], topics: [], groups: [] }, drifts: [] };

/** Fetches and shows the interests of whoever is shopping. Without an answer the last picture stays. */
export async function refreshInterests() {
  const id = userId();
  if (id !== shownFor) before = new Map();
  if (id !== shownFor) leading = null;
  try {
    const answer = await interests(id);
    if (id !== userId()) return;
    shownFor = id;
    show(answer);
  } catch (problem) {
    // A visitor whom the service has not met yet has no interests to show.
    if (problem.status === 404) show(NOTHING);
    else console.warn(`No interests: ${problem.message}`);
  }
}
