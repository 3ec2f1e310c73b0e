// Builds DOM nodes. Data only ever becomes text nodes or attribute values, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** `el("p", {class: "note", on: {click: f}}, "text", child)`; null, undefined and false are left out. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** A button that does something here; `more` holds further attributes. */
export function button(look, click, more, ...children) {
  return el("button", { type: "button", class: look, on: { click }, ...more }, ...children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, { on = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? "" : value);
  }
  for (const [type, listener] of Object.entries(on)) node.addEventListener(type, listener);
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const byId = (id) => document.getElementById(id);

let announcing;
/** Says a short sentence to screen readers; only the last of a burst is said. */
export function announce(text) {
  clearTimeout(announcing);
  announcing = setTimeout(() => (byId("announcer").textContent = text), 150);
}

const ICONS = {
  search: "M11 4a7 7 0 1 0 0 14a7 7 0 1 0 0-14M16.2 16.2 21 21",
  bag: "M5 8h14l1 12H4zM8.5 8V7a3.5 3.5 0 0 1 7 0v1",
  close: "M6 6l12 12M18 6 6 18",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  check: "M5 12.5l4.5 4.5L19 7.5",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M8 8h8v8H8z",
  undo: "M9 7 5 11l4 4M5 11h9a5 5 0 0 1 0 10h-2",
  rising: "M5 17 17 6M9 6h8v8",
  fading: "M5 7l12 11M9 18h8v-8",
  steady: "M4 12h15M14 7l5 5-5 5",
  new: "M12 4v16M5 8l14 8M19 8 5 16",
  seasonal: "M5 12a7 7 0 0 1 12-5l2 2M19 4v5h-5M19 12a7 7 0 0 1-12 5l-2-2M5 20v-5h5",
  shop: "M4 10 6 4h12l2 6M4 10v10h16V10M4 10h16M10 20v-6h4v6",
  talk: "M4 5h16v11H10l-4 4v-4H4z",
};

export function icon(name) {
  const path = svg("path", { d: ICONS[name] });
  return svg("svg", { viewBox: "0 0 24 24", class: `icon icon-${name}`, "aria-hidden": "true", focusable: "false" }, path);
}

export function star() {
  const path = svg("path", { d: "M12 3.2l2.7 5.6 6.1.8-4.5 4.300 1.1 6.1-5.400-3-5.400 3 1.1-6.1L3.2 9.6l6.1-.8z" });
  return svg("svg", { viewBox: "0 0 24 24", class: "star", "aria-hidden": "true", focusable: "false" }, path);
}
