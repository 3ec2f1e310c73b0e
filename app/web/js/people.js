// The person switcher: featured people of the shop, or a new visitor.

import { byId, el } from "./elements.js";
import { hashOf } from "./pictures.js";
import { go, here } from "./route.js";
import { freshVisitor } from "./shopper.js";

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
  return el("button", { type: "button", class: "person-choice", "aria-current": isChosen ? "true" : null, on: { click: pick } },
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
  const button = byId("person-button");
  const menu = byId("people");
  button.addEventListener("click", () => {
    if (menu.matches(":popover-open")) return menu.hidePopover();
    list();
    const place = button.getBoundingClientRect();
    menu.style.top = `${place.bottom + 8}px`;
    menu.showPopover();
    const page = document.documentElement.clientWidth;
    menu.style.left = `${Math.max(8, Math.min(place.left, page - menu.offsetWidth - 8))}px`;
    (menu.querySelector("[aria-current]") ?? menu.querySelector("button")).focus();
    return undefined;
  });
  menu.addEventListener("toggle", (event) => {
    button.setAttribute("aria-expanded", String(event.newState === "open"));
  });
}

export function showPerson() {
  const person = personHere();
  const button = byId("person-button");
  button.querySelector(".avatar").replaceWith(avatar(person));
  button.querySelector(".person-name").textContent = person?.name ?? here().person ?? "";
  if (!here().person) button.querySelector(".person-name").textContent = "New visitor";
}
