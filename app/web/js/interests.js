// "Your interests right now": for each topic what draws the shopper lately beside what always has.

import { interests } from "./api.js";
import { byId, announce, el, icon } from "./elements.js";
import { glide } from "./motion.js";
import { userId } from "./shopper.js";

const SHOWN = 6;
const percent = (share) => `${Math.round(share * 100)} %`;

let shownFor = null;
let leading = null;
/** Shares shown last, by topic, so that bars grow from where they stood. */
let before = new Map();

function bar(kind, from, to, scale) {
  const line = el("i", { class: `bar bar-${kind}` });
  const width = (share) => `${Math.min(100, (share / scale) * 100)}%`;
  line.style.inlineSize = width(from);
  // Two frames: the first paints the old width, the second starts the transition.
  requestAnimationFrame(() => requestAnimationFrame(() => (line.style.inlineSize = width(to))));
  return line;
}

function topic(interest, scale) {
  const old = before.get(interest.topic) ?? { short_term: 0, long_term: 0 };
  const moved = before.size > 0 && Math.abs(old.short_term - interest.short_term) > 0.004;
  return el("li", { class: `topic trend-${interest.trend}${moved ? " moved" : ""}`, "data-key": interest.topic },
    el("p", { class: "topic-name", dir: "auto" }, interest.topic),
    el("div", { class: "bars", "aria-hidden": "true" },
      bar("now", old.short_term, interest.short_term, scale), bar("long", old.long_term, interest.long_term, scale)),
    el("p", { class: "shares" },
      el("span", { class: "hidden-text" }, "lately "), el("b", {}, percent(interest.short_term)),
      el("span", { class: "hidden-text" }, ", over time "), el("span", { class: "soft" }, percent(interest.long_term)),
      el("span", { class: "trend" }, interest.trend === "steady" ? null : icon(interest.trend), interest.trend)));
}

/** What draws the shopper now, then what drew them most over time; strongest now first. */
function choose(found) {
  const now = found.filter((interest) => interest.short_term >= 0.01).slice(0, SHOWN);
  const others = found.filter((interest) => !now.includes(interest)).sort((a, b) => b.long_term - a.long_term);
  return [...now, ...others].slice(0, SHOWN);
}

function show(found) {
  const top = choose(found);
  const scale = Math.max(0.2, ...top.flatMap((interest) => [interest.short_term, interest.long_term]));
  byId("interests-none").hidden = top.length > 0;
  const list = byId("topics");
  glide(list, () => list.replaceChildren(...top.map((interest) => topic(interest, scale))));
  if (leading !== null && top[0] && top[0].topic !== leading) announce(`${top[0].topic} now leads your interests.`);
  leading = top[0]?.topic ?? null;
  before = new Map(found.map((interest) => [interest.topic, interest]));
}

/** Fetches and shows the interests of whoever is shopping. Without an answer the last picture stays. */
export async function refreshInterests() {
  const id = userId();
  if (id !== shownFor) before = new Map();
  if (id !== shownFor) leading = null;
  try {
    const answer = await interests(id);
    if (id !== userId()) return;
    shownFor = id;
    show(answer.interests);
  } catch (problem) {
    // A visitor whom the service has not met yet has no interests to show.
    if (problem.status === 404) show([]);
    else console.warn(`No interests: ${problem.message}`);
  }
}
