// The sections of the shop-wide view: from its JSON to what is read at a glance. Knows no address and asks nothing.

import { button, el, icon, svg } from "./elements.js";
import { barAgainst, changed, liftBar, line, percent } from "./insights-charts.js";
import { count, counted, money } from "./money.js";

const SIGNS = {
  restock: ["Restock", "M4 8l8-4 8 4v8l-8 4-8-4zM4 8l8 4 8-4M12 12v8"],
  promote: ["Bring forward", "M5 17 17 6M9 6h8v8"],
  wind_down: ["Wind down", "M4 8c4-4 8-4 10 2l2 8M12 14l4 4 4-4"],
  demote: ["Less room", "M5 7l12 11M9 18h8v-8"],
  try: ["Try", "M12 4v16M5 8l14 8M19 8 5 16"],
  follow: ["Show next", "M4 12h15M14 7l5 5-5 5"],
  together: ["Together", "M9 9a4 4 0 1 0 0 6M15 9a4 4 0 1 1 0 6M8 12h8"],
  lead: ["Lead with", "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8M5 20c1-5 13-5 14 0"],
  greet: ["Greet", "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8M5 20c1-5 13-5 14 0"],
};
/** Beside a rising interest, where the suggestion is another one than to bring it forward. */
const TAGS = { wind_down: "past its peak", restock: "stock is short" };
const FIRST = 6;
let helps = 0;

function sign(kind) {
  const path = svg("path", { d: (SIGNS[kind] ?? SIGNS.try)[1] });
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" }, path);
}

/** A word that explains itself: a button that opens a sentence. */
function explained(word, sentence) {
  const id = `help-${helps++}`;
  return el("span", { class: "explained" }, word,
    el("button", { type: "button", class: "help", popovertarget: id, "aria-label": `What is “${word}”?` }, "?"),
    el("span", { class: "help-text", id, popover: true }, sentence));
}

/** A section with a heading and one line of what it says; `none` instead of its content where there is nothing. */
function part(id, title, about, content, none) {
  return el("section", { class: `part part-${id}`, "aria-labelledby": `${id}-title` },
    el("h2", { id: `${id}-title` }, title),
    el("p", { class: "part-about soft" }, about),
    content ?? el("p", { class: "nothing-found" }, none));
}

function topic({ name, path }, tag) {
  return el("span", { class: "topic-label" }, el("b", { dir: "auto" }, name),
    path.length > 1 && el("span", { class: "soft small", dir: "auto" }, path.slice(0, -1).join(" › ")),
    tag && el("span", { class: "tag" }, tag));
}

/** The first lines at once, the others behind a button. */
function shortList(tag, look, lines, first = FIRST) {
  const list = el(tag, { class: look }, lines.slice(0, first));
  if (lines.length <= first) return list;
  const more = button("quiet", () => {
    list.append(...lines.slice(first));
    more.remove();
    lines[first].querySelector("summary, a, button")?.focus();
  }, {}, `Show ${lines.length - first} more`);
  return el("div", {}, list, more);
}

export function actions(view) {
  const card = ({ kind, text, because }) => el("li", { class: `action action-${kind}` },
    el("p", { class: "action-kind" }, sign(kind), (SIGNS[kind] ?? SIGNS.try)[0]),
    el("h3", { class: "action-text", dir: "auto" }, text),
    el("p", { class: "action-because soft", dir: "auto" }, because));
  return part("actions", "What to do now", "One suggestion of each kind, the best founded first.",
    view.actions.length ? el("ol", { class: "actions" }, view.actions.map(card)) : null,
    "Nothing stands out from chance. Come back when more has happened, or choose longer windows.");
}

function who(turn) {
  const first = turn.behind[0];
  if (!first) return el("span", { class: "soft" }, "no group in particular");
  const share = first.share === null ? null : el("span", { class: "soft" }, ` (${percent(first.share)})`);
  return el("span", {}, first.is_most ? "mostly " : "led by ", el("b", { dir: "auto" }, first.name), share);
}

const fewOr = (number, fewest) => (number === null ? `under ${fewest}` : count(number));
/** A share of shoppers; nothing is told of too few of them. */
const shareOr = (share) => (share === null ? "too few to show" : percent(share));

function behind(turn, fewest) {
  if (!turn.behind.length) return null;
  const rows = turn.behind.map((group) => el("tr", {},
    el("th", { scope: "row", dir: "auto" }, group.name),
    el("td", {}, fewOr(group.shoppers_before, fewest)), el("td", {}, fewOr(group.shoppers, fewest)), el("td", {}, group.share === null ? "–" : percent(group.share))));
  return el("table", { class: "figures" },
    el("caption", {}, turn.direction === "rising" ? "Who is behind it" : "Who turned away"),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Segment"), el("th", { scope: "col" }, "Before"),
      el("th", { scope: "col" }, "Now"), el("th", { scope: "col" }, turn.direction === "rising" ? "Of the gain" : "Of the loss"))),
    el("tbody", {}, rows));
}

function stockOf({ stock, price }) {
  const left = stock === null ? "" : stock === 0 ? "out of stock" : `${count(stock)} in stock`;
  return [money(price), left].filter(Boolean).join(", ");
}

function wanted(products) {
  if (!products.length) return null;
  return el("div", { class: "wanted" }, el("h3", { class: "minor" }, "Most wanted in it"),
    el("ul", {}, products.map((one) => el("li", {}, el("a", { href: `./#product=${encodeURIComponent(one.id)}`, dir: "auto" }, one.title),
      el("span", { class: "soft" }, ` ${counted(one.shoppers, "shopper")}${stockOf(one) ? `, ${stockOf(one)}` : ""}`)))));
}

function surely(q, most) {
  if (q === null) return `under ${Math.round(most * 100)} in 100`;
  return q < 0.001 ? "under 1 in 1,000" : `${(q * 100).toFixed(1)} in 100`;
}

/** How much more or less than expected; in words alone where too few came in one window. */
function moved(turn, view) {
  if (turn.change === null) return { change: turn.direction === "rising" ? "more" : "fewer", than: "" };
  const expected = Math.round(turn.expected * view.shoppers);
  return { change: expected ? changed(turn.change) : "new", than: `, ${expected ? count(expected) : "hardly any"} expected` };
}

function turnLine(turn, view) {
  const { change, than } = moved(turn, view);
  return el("li", { class: `turn turn-${turn.direction}` }, el("details", {},
    el("summary", {},
      el("span", { class: "turn-change" }, change),
      topic(turn.topic, TAGS[turn.action.kind]),
      line(turn.weekly, view.step_days, view.days, turn.direction),
      el("span", { class: "turn-figures small" },
        el("span", {}, el("b", {}, fewOr(turn.shoppers, view.minimum_people)), ` shoppers${than}`),
        who(turn))),
    el("div", { class: "turn-more" },
      el("p", {}, turn.action.text, " ", el("span", { class: "soft" }, turn.action.because)),
      el("p", { class: "small" }, explained("Chance", "How often a difference like this would be told although nothing has changed, after all categories that were looked at."),
        ` ${surely(turn.q, view.false_alarm_rate)}. Share of shoppers ${shareOr(turn.share_before)} → ${shareOr(turn.share)}, of all attention `
        + `${shareOr(turn.attention_before)} → ${shareOr(turn.attention)}.`),
      behind(turn, view.minimum_people), wanted(turn.wanted))));
}

export function rising(view) {
  return part("rising", "Rising", "More shoppers turned to it than were to be expected. Open a line for who and what.",
    view.rising.length ? shortList("ul", "turns", view.rising.map((turn) => turnLine(turn, view))) : null,
    "No interest rises beyond chance in these weeks.");
}

export function falling(view) {
  return part("falling", "Falling", "Fewer shoppers turned to it than were to be expected.",
    view.falling.length ? shortList("ul", "turns", view.falling.map((turn) => turnLine(turn, view))) : null,
    "No interest falls beyond chance in these weeks.");
}

export function early(view) {
  if (!view.early.length) return null;
  const card = (sign_) => el("li", { class: "sign" },
    topic(sign_.topic), line(sign_.weekly, 7, 28, "rising"),
    el("p", { class: "small" }, el("b", {}, `${sign_.growth.toFixed(1)} ×`), ` in four weeks, ${counted(sign_.shoppers, "different shopper")}`,
      el("br"), el("span", { class: "soft" }, `more in ${sign_.weeks_up} of 7 weeks${sign_.accelerating ? ", and faster lately" : ""}`)));
  return part("early", "Early signs", "Still small, and growing week after week. One heavy shopper is no trend: everybody counts once.",
    el("ul", { class: "signs" }, view.early.map(card)));
}

export function follows(view) {
  const most = Math.max(2, ...view.follows.map((each) => each.lift));
  const row = (each) => el("li", { class: "link" },
    el("p", { class: "link-names" }, el("b", { dir: "auto" }, each.before.name), icon("steady"), el("span", { class: "hidden-text" }, " leads to "), el("b", { dir: "auto" }, each.after.name)),
    el("p", { class: "link-lift" }, liftBar(each.lift, most), `${each.lift.toFixed(1)} ×`),
    el("p", { class: "small soft" }, `${counted(each.shoppers, "shopper")}, about ${counted(Math.max(1, Math.round(each.days)), "day")} later; the other way round ${each.reverse_lift.toFixed(1)} ×`));
  return part("follows", "What follows what",
    el("span", {}, "After the first, shoppers newly turn to the second within two weeks. ",
      explained("Times chance", "How many times as often as after any other day of people who are as active. 1 × would be chance. New: they had not turned to it for eight weeks.")),
    view.follows.length ? shortList("ol", "links", view.follows.map(row)) : null,
    "No order stands out from chance.");
}

export function rules(view) {
  const most = Math.max(2, ...view.rules.map((rule) => rule.lift));
  const names = (topics) => topics.map((each) => each.name).join(" + ");
  const row = (rule) => el("li", { class: "link" },
    el("p", { class: "link-names" }, el("b", { dir: "auto" }, names(rule.if_bought)), icon("plus"), el("span", { class: "hidden-text" }, " and "), el("b", { dir: "auto" }, names(rule.then))),
    el("p", { class: "link-lift" }, liftBar(rule.lift, most), `${rule.lift.toFixed(1)} ×`),
    el("p", { class: "small soft" }, `${percent(rule.confidence)} of baskets with the first have the second; ${counted(rule.baskets, "basket")} (${percent(rule.support)}) of ${counted(rule.shoppers, "shopper")}`));
  return part("rules", "Bought together",
    el("span", {}, "In one basket. ",
      explained("Lift", "How many times as often the second is in baskets with the first as in all baskets. 1 × would be chance."), " ",
      explained("Confidence", "Of the baskets with the first, the share that have the second, too."), " ",
      explained("Support", "The share of all baskets that hold both.")),
    view.rules.length ? shortList("ol", "links", view.rules.map(row)) : null,
    "No purchases go together more than by chance.");
}

export function segments(view) {
  if (!view.segments.length) return null;
  const prefers = (each) => el("li", {},
    el("span", { class: "prefers-name", dir: "auto" }, each.topic.name), barAgainst(each.share, each.elsewhere ?? 0, 1),
    el("span", { class: "small" }, el("b", {}, percent(each.share)), el("span", { class: "soft" }, each.elsewhere === null ? " others: too few to show" : ` others ${percent(each.elsewhere)}`)));
  const up = (each) => el("li", { class: "chip" }, icon("rising"), el("span", { dir: "auto" }, each.topic.name), each.change === null ? null : ` ${changed(each.change)}`);
  const card = (group) => el("li", { class: "segment" },
    el("h3", { dir: "auto" }, group.name),
    el("p", { class: "segment-size" }, el("b", {}, count(group.people)), ` shoppers, ${percent(group.share)}`),
    el("ul", { class: "prefers" }, group.prefers.slice(0, 4).map(prefers)),
    group.rising.length > 0 && el("div", {}, el("h4", {}, "Rising among them"), el("ul", { class: "chips" }, group.rising.slice(0, 5).map(up)),
      el("p", { class: "segment-action" }, group.action.text, " ", el("span", { class: "soft" }, group.action.because))));
  return part("segments", "Who your shoppers are",
    el("span", {}, `${counted(view.segmented_people, "shopper")} with enough history, grouped by what they turn to. The bar is the group, the mark all others. `,
      explained("Apart", `How clearly the groups differ, from 0 (one cloud) to 1: ${view.silhouette.toFixed(2)}. The number of groups is the one that makes it largest.`)),
    shortList("ul", "segments", view.segments.map(card), 8));
}
