// Draws a product: a small still life from its words and its colour. The same product always looks the same.
// No picture is fetched from elsewhere; an `image_url` is used only where it lies on this very origin.

import { el, svg } from "./elements.js";
import { ABSTRACT, COLOURS, DRAWINGS, PAINTS, WORDS } from "./motifs.js";

/** Sand, apricot, sage, mist, blush, linen, lichen, heather: quiet enough for any colour before them. */
const GROUND_HUES = [85, 60, 135, 235, 25, 100, 170, 310];

/** FNV-1a, 32 bits: small, stable, good enough to choose colours with. */
export function hashOf(text) {
  let hash = 0x811c9dc5;
  for (const letter of text) hash = Math.imul(hash ^ letter.codePointAt(0), 0x01000193);
  return hash >>> 0;
}

function lastMatch(text) {
  let best = { end: -1, length: 0, name: null };
  for (const [name, pattern] of WORDS) {
    for (const match of text.matchAll(pattern)) {
      const end = match.index + match[0].length;
      if (end > best.end || (end === best.end && match[0].length > best.length)) best = { end, length: match[0].length, name };
    }
  }
  return best.name;
}

/** The motif: from the head of the title, then from the narrowest category upwards, else by department. */
export function motifOf(product) {
  const head = product.title.toLowerCase().split(/ (?:for|with|from|in|of|by)\b|[,(|–—]| - /)[0];
  const texts = [head, ...[...product.categories].reverse().map((name) => name.toLowerCase().replaceAll("_", " "))];
  for (const text of texts) {
    const name = lastMatch(text);
    if (name) return name;
  }
  return ABSTRACT[hashOf(product.categories[0] ?? product.brand ?? product.id) % ABSTRACT.length];
}

/** From the end of the title ("…, Forest Green"), which is finer than an attribute, then the attribute, then the title. */
function colourOf(product) {
  const named = Object.entries(product.attributes).find(([name]) => /^colou?rs?$/i.test(name));
  const tail = product.title.includes(",") ? product.title.split(",").at(-1) : "";
  for (const value of [tail, ...(named?.[1] ?? []), product.title]) {
    for (const word of value.toLowerCase().split(/[^a-z]+/)) if (Object.hasOwn(COLOURS, word)) return COLOURS[word];
  }
  return PAINTS[hashOf(product.id) % PAINTS.length];
}

function shape(text) {
  const [role, form, ...rest] = text.split(" ");
  const line = role.length === 2;
  const style = { class: line ? `line-${role[1]}` : `fill-${role}` };
  const [x, y, width, height, radius] = rest.map(Number);
  if (form === "p") return svg("path", { ...style, d: rest.join(" ") });
  if (form === "r") return svg("rect", { ...style, x, y, width, height, rx: radius });
  if (form === "c") return svg("circle", { ...style, cx: x, cy: y, r: width });
  return svg("ellipse", { ...style, cx: x, cy: y, rx: width, ry: height });
}

function backdrop(seed) {
  const x = 50 + (seed % 101);
  const radius = 34 + ((seed >>> 7) % 30);
  const forms = [
    () => svg("circle", { class: "halo", cx: x, cy: 78, r: radius }),
    () => svg("path", { class: "halo", d: `M${x - radius} 160V84a${radius} ${radius} 0 0 1 ${2 * radius} 0v76z` }),
    () => svg("rect", { class: "halo", x: x - radius, y: 30, width: 2 * radius, height: 130 }),
  ];
  return forms[(seed >>> 12) % forms.length]();
}

function draw(product) {
  const seed = hashOf(product.id);
  const shelf = hashOf(product.categories.slice(0, 2).join("/") || (product.brand ?? ""));
  const mirrored = (seed >>> 16) % 2 === 1;
  const things = svg("g", { transform: mirrored ? "translate(200 0) scale(-1 1)" : null });
  things.append(...DRAWINGS[motifOf(product)].split("|").map(shape));
  const picture = svg(
    "svg",
    { viewBox: "0 0 200 200", class: "picture", "aria-hidden": "true", focusable: "false", preserveAspectRatio: "xMidYMid slice" },
    svg("rect", { class: "ground", x: -100, y: -100, width: 400, height: 400 }),
    backdrop(seed),
    svg("rect", { class: "floor", x: -100, y: 156, width: 400, height: 200 }),
    svg("ellipse", { class: "shadow", cx: 100, cy: 165, rx: 66, ry: 6 }),
    things,
  );
  picture.style.setProperty("--paint", colourOf(product));
  picture.style.setProperty("--hue", String(GROUND_HUES[shelf % GROUND_HUES.length]));
  return picture;
}

/** A picture of the product; decoration only, the title beside it says what it is. */
export function pictureOf(product) {
  const drawing = draw(product);
  const address = product.image_url ?? "";
  if (!URL.canParse(address, location.origin) || !/^(\/|https?:)/.test(address)) return drawing;
  const url = new URL(address, location.origin);
  if (url.origin !== location.origin) return drawing;
  const image = el("img", { src: url.href, alt: "", class: "picture", loading: "lazy" });
  image.addEventListener("error", () => image.replaceWith(drawing), { once: true });
  return image;
}
