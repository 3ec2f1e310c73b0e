// Respectful motion: things glide from their old place to the new one, or not at all when less motion is wanted.

const calm = matchMedia("(prefers-reduced-motion: reduce)");
const EASE = "cubic-bezier(.2, .7, .2, 1)";

/** Runs `change` on `container`; children with the same `data-key` before and after glide, new ones fade in. */
export function glide(container, change) {
  if (calm.matches || !container.isConnected) return change();
  const before = new Map();
  for (const child of container.children) before.set(child.dataset.key, child.getBoundingClientRect());
  change();
  [...container.children].forEach((child, place) => {
    const old = before.get(child.dataset.key);
    if (old && old.width) moveFrom(child, old);
    else appear(child, Math.min(place, 8) * 25);
  });
  return undefined;
}

function moveFrom(child, old) {
  const now = child.getBoundingClientRect();
  const x = old.left - now.left;
  const y = old.top - now.top;
  if (!x && !y) return;
  child.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }], { duration: 520, easing: EASE });
}

function appear(child, delay) {
  const frames = [{ opacity: 0, transform: "translateY(8px)" }, { opacity: 1, transform: "none" }];
  child.animate(frames, { duration: 380, delay, easing: EASE, fill: "backwards" });
}

/** A short nod, for the cart's count. */
export function nod(element) {
  if (calm.matches) return;
  element.animate([{ transform: "scale(1)" }, { transform: "scale(1.35)" }, { transform: "scale(1)" }], {
    duration: 320,
    easing: EASE,
  });
}
