// The person switcher: featured people of the shop, or a new visitor.

import { button, byId, el } from "./elements.js";
import { hashOf } from "./pictures.js";
import { go, here } from "./route.js";
import { freshVisitor } from "./shopper.js";

/** Of the menu, in pixels, where there is room. */
const WIDTH = 352;
let people = [];

export const personHere = () => people.find((person) => person.user_id === here().person) ?? null;

function avatar(person) {
  const mark = el("span", { class: "avatar", "aria-hidden": "true" }, person ? [...person.name][0] : "?");
  mark.style.setProperty("--hue", String(person ? hashOf(person.user_id) % 360 : 160));
  mark.classList.toggle("avatar-visitor", !person);
  return mark;
}

function choice(name, about, isChosen, person, choose) {
  const pick = () => {
    byId("people").hidePopover();
    choose();
  };
  return button("person-choice", pick, { "aria-current": isChosen ? "true" : null },
    avatar(person), el("span", {}, el("b", { dir: "auto" }, name), el("small", { dir: "auto" }, about)));
}

function list() {
  const { person } = here();
  const change = (id) => () => go({ person: id, product: "" });
  const again = () => {
    freshVisitor();
    go({ person: "", product: "", q: "" });
  };
  const visitor = person
    ? choice("New visitor", "Nothing known yet", false, null, change(""))
    : choice("New visitor, from the start", "Forgets what this visitor did", false, null, again);
  const featured = people.map((one) => choice(one.name, one.about, one.user_id === person, one, change(one.user_id)));
  byId("people").replaceChildren(el("p", { class: "people-title" }, "Who is shopping?"), ...featured, visitor);
}

export function preparePeople(found) {
  people = found;
  const opener = byId("person-button");
  const menu = byId("people");
  menu.addEventListener("beforetoggle", (event) => {
    if (event.newState !== "open") return;
    list();
    const place = opener.getBoundingClientRect();
    const page = document.documentElement.clientWidth;
    const width = Math.min(WIDTH, page - 16);
    menu.style.inlineSize = `${width}px`;
    menu.style.top = `${place.bottom + 8}px`;
    menu.style.left = `${Math.max(8, Math.min(place.left, page - width - 8))}px`;
  });
  menu.addEventListener("toggle", (event) => {
    const isOpen = event.newState === "open";
    opener.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) (menu.querySelector("[aria-current]") ?? menu.querySelector("button")).focus();
  });
}

export function showPerson() {
  const person = personHere();
  const opener = byId("person-button");
  opener.querySelector(".avatar").replaceWith(avatar(person));
  opener.querySelector(".person-name").textContent = person?.name ?? here().person ?? "";
  if (!here().person) opener.querySelector(".person-name").textContent = "New visitor";
}
