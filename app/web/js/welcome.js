// The shop's questions to a newcomer: what was answered, and the panel that asks. The shop chooses each question; here
// the answers are kept, in this tab, and sent along.

import { announce, button, el, icon } from "./elements.js";
import { here } from "./route.js";
import { onActed, userId } from "./shopper.js";

const KEPT = "tasteline.welcome";
/** As the service has it. */
const MOST = 3;
let known = null;

function fresh(isOver = false) {
  return { whose: userId(), answers: [], labels: [], isOver, isDismissed: false };
}

/** What this visitor has answered; somebody else starts anew. */
function state() {
  known ??= JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  if (known?.whose !== userId()) known = fresh();
  return known;
}

function keep(changed) {
  known = { ...state(), ...changed };
  sessionStorage.setItem(KEPT, JSON.stringify(known));
}

/** May this shopper be asked: a visitor who has not done anything yet, on the first page? */
export const isNewcomer = () => !here().person && !here().category && !state().isOver;

export const answers = () => state().answers;

/** The shop no longer knows these answers, or the shopper wants to begin again. */
export function forgetAnswers() {
  keep(fresh());
}

/** The shop has nothing to ask: whoever has done something is known by that. */
export function endWelcome() {
  keep({ isOver: true });
}

onActed((told) => {
  if (told.product_id) keep(fresh(true));
});

/** What stands above the products. `again()` asks the shop anew after every choice. Null where there is nothing to say. */
export function welcomePanel(question, again) {
  const { labels, isDismissed } = state();
  if (isDismissed || (!question && !labels.length)) return null;
  const choose = (option) => () => {
    const chosen = option.id === "anything" ? labels : [...labels, option.label];
    keep({ answers: [...answers(), { question: question.id, option: option.id }], labels: chosen });
    announce(option.id === "anything" ? "Everything it is." : `You chose ${option.label}.`);
    again();
  };
  const restart = () => {
    forgetAnswers();
    again();
  };
  const dismiss = () => {
    keep({ isDismissed: true });
    again();
  };
  const number = answers().length + 1;
  return el("div", { class: "welcome", role: "group", "aria-label": "A question to begin with" },
    labels.length ? el("p", { class: "welcome-chosen", dir: "auto" }, `You chose ${labels.join(", ")}.`) : null,
    question ? el("p", { class: "welcome-question", tabindex: "-1", dir: "auto" }, question.text) : null,
    question ? el("ul", { class: "chips" }, question.options.map((option) => el("li", {},
      button("chip chip-choice", choose(option), { dir: "auto" }, option.label)))) : null,
    el("p", { class: "welcome-more" },
      question ? el("span", {}, `Question ${number} of at most ${MOST}`) : null,
      answers().length ? button("quiet", restart, {}, "Start over") : null,
      question ? button("quiet", dismiss, { "aria-label": "Do not ask me" }, "Not now", icon("close")) : null));
}
