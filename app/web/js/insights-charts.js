// Small pictures of figures: a line over weeks, a bar against another. Each says the same in words.

import { el, svg } from "./elements.js";

const WIDTH = 132;
const HEIGHT = 36;
const PAD = 3;

export function percent(share) {
  const value = share * 100;
  if (value > 0 && value < 0.1) return "under 0.1 %";
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} %`;
}

/** "+70 %", "−25 %" or "3.1 ×". */
export function changed(change) {
  if (change >= 1) return `${(1 + change).toFixed(1)} ×`;
  return `${change > 0 ? "+" : "−"}${Math.round(Math.abs(change) * 100)} %`;
}

/** Share of shoppers, a point for every `step` days, the window's points in colour; 0 where too few came to be shown. */
export function line(weekly, step, days, direction) {
  const known = weekly.filter((share) => share !== null);
  if (known.length < 2) return el("span", { class: "no-line small soft" }, "too few to draw");
  const top = Math.max(...known) || 1;
  const x = (week) => PAD + (week * (WIDTH - 2 * PAD)) / Math.max(1, weekly.length - 1);
  const y = (share) => HEIGHT - PAD - ((share ?? 0) / top) * (HEIGHT - 2 * PAD);
  const points = weekly.map((share, week) => `${x(week).toFixed(1)},${y(share).toFixed(1)}`);
  const start = Math.max(0, weekly.length - 1 - Math.round(days / step));
  const last = weekly.length - 1;
  const floor = HEIGHT - PAD;
  const words = `Share of shoppers, each ${step} days, over ${weekly.length * step} days: first ${spoken(weekly[0])}, highest ${percent(top)}, `
    + `last ${spoken(weekly[last])}.`;
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: `spark spark-${direction}`, role: "img", "aria-label": words },
    svg("path", { class: "spark-floor", d: `M${PAD} ${floor}H${WIDTH - PAD}` }),
    svg("path", { class: "spark-area", d: `M${x(start).toFixed(1)},${floor} L${points.slice(start).join(" L")} L${x(last).toFixed(1)},${floor}Z` }),
    svg("polyline", { class: "spark-past", points: points.slice(0, start + 1).join(" ") }),
    svg("polyline", { class: "spark-now", points: points.slice(start).join(" ") }),
    svg("circle", { class: "spark-end", cx: x(last).toFixed(1), cy: y(weekly[last]).toFixed(1), r: 2.6 }));
}

const spoken = (share) => (share === null ? "too few to show" : percent(share));

/** A bar of `share` with a mark at `other`, both of `scale`; the words stand beside it. */
export function barAgainst(share, other, scale) {
  const bar = el("span", { class: "against", "aria-hidden": "true" }, el("i", { class: "against-bar" }), el("i", { class: "against-mark" }));
  bar.firstChild.style.inlineSize = `${Math.min(100, (share / scale) * 100)}%`;
  bar.lastChild.style.insetInlineStart = `${Math.min(100, (other / scale) * 100)}%`;
  return bar;
}

/** How many times as much as chance, as a bar from 1. */
export function liftBar(lift, most) {
  const bar = el("span", { class: "lift-bar", "aria-hidden": "true" }, el("i", {}));
  bar.firstChild.style.inlineSize = `${Math.max(2, (100 * Math.log(lift)) / Math.log(Math.max(most, 1.01)))}%`;
  return bar;
}
