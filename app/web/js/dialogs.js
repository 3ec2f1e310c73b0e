// Dialogs: opening, closing by button, Escape or a click beside; and work that waits until the page is in sight.

import { button, byId, el, icon } from "./elements.js";

const waiting = new Map();

export const isCovered = () => document.querySelector("dialog[open]") !== null;

/** Runs `task` now, or when the last dialog has closed: what moves on the page should be seen moving. */
export function whenInSight(name, task) {
  if (!isCovered()) return task();
  waiting.set(name, task);
  return undefined;
}

function comeIntoSight() {
  if (isCovered()) return;
  const tasks = [...waiting.values()];
  waiting.clear();
  for (const task of tasks) task();
}

/** Replaces what the dialog shows; the button that closes it stays in its corner while the rest scrolls. */
export function fillDialog(dialog, ...children) {
  const close = button("close", () => dialog.close(), { "aria-label": "Close" }, icon("close"));
  const sheet = el("div", { class: "sheet" }, ...children);
  const place = dialog.querySelector(".sheet")?.scrollTop ?? 0;
  dialog.replaceChildren(sheet, close);
  sheet.scrollTop = place;
}

/** Prepares a dialog of the page once. */
export function prepare(id, onClose = () => {}) {
  const dialog = byId(id);
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    onClose();
    comeIntoSight();
  });
  return dialog;
}
