// The assistant: streams answers, shows their products, chips and follow-up questions.

import { Answer } from "./answer.js";
import { chat } from "./api.js";
import { degradedNote } from "./cards.js";
import { chips, relaxations } from "./chips.js";
import { button, byId, el, icon } from "./elements.js";
import { sessionId, userId } from "./shopper.js";

let conversation = null;
let running = null;
let openings = [];
/** Called when an answer is complete: asking, too, may move what the shop thinks of the shopper. */
let whenAnswered = () => {};

const log = () => byId("messages");
const field = () => byId("chat-field");

/** Scrolls to the end, but never past the question that is being answered. */
function toEnd() {
  const asked = [...log().querySelectorAll(".said-by-you")].at(-1);
  const top = asked ? asked.offsetTop - 8 : 0;
  log().scrollTop = Math.min(top, log().scrollHeight - log().clientHeight);
}

function suggestions(texts) {
  if (!texts?.length) return null;
  const suggestion = (text) => el("li", {}, button("suggestion", () => ask(text), { dir: "auto" }, text));
  return el("ul", { class: "suggestions", "aria-label": "You could ask" }, texts.map(suggestion));
}

function welcome() {
  log().replaceChildren(el("div", { class: "chat-welcome" },
    el("p", {}, "Say what you are looking for, in your own words. Then narrow it: “cheaper”, “the second one”, “in blue”."),
    suggestions(openings)));
}

function startAnswer(text, note) {
  log().querySelector(".chat-welcome")?.remove();
  log().querySelectorAll(".suggestions").forEach((old) => old.remove());
  const answer = new Answer();
  log().append(
    el("div", { class: "said said-by-you" }, el("span", { class: "hidden-text" }, "You: "),
      el("p", { dir: "auto" }, text), note ? el("p", { class: "said-note" }, note) : null),
    answer.element);
  toEnd();
  return answer;
}

const RUNTIMES = {
  openvino: "OpenVINO, in this process",
  transformers: "transformers, in this process",
  openai: "a language model server",
  scripted: "a script, for tests",
};

/** Whose words these are: a model's in lines that passed the check, the shop's templates in all others. */
function voiceOf({ engine, runtime }) {
  if (!engine || engine === "templates") return "the shop’s own sentences";
  return `${engine} (${RUNTIMES[runtime] ?? runtime}), checked, and the shop’s own sentences`;
}

function engineNote(details) {
  const stages = Object.entries(details.trace ?? {});
  const whole = details.trace?.total ?? stages.reduce((sum, [, ms]) => sum + ms, 0);
  const answered = `Answered by: ${voiceOf(details)}`;
  if (!stages.length) return el("p", { class: "engine" }, answered);
  return el("details", { class: "engine" },
    el("summary", {}, `${answered}, in ${Math.max(1, Math.round(whole))} ms`),
    el("dl", {}, stages.map(([name, ms]) => [el("dt", {}, name.replaceAll("_", " ")), el("dd", {}, `${ms.toFixed(1)} ms`)])));
}

/** Details come with the first chunk, before the words, and complete with the last. */
function showDetails(answer, details, asked) {
  conversation = details.conversation_id ?? conversation;
  answer.offer(details.products ?? [], details.ranking_id);
  const drop = (key) => ask(asked.text, [...asked.ignore, key]);
  const restore = (key) => ask(asked.text, asked.ignore.filter((other) => other !== key));
  const list = chips(details.understood, { ignored: asked.ignore, take: drop, restore });
  answer.chips.replaceChildren(...(list ? [list] : []));
}

function showEnd(answer, details, asked) {
  const drop = (key) => ask(asked.text, [...asked.ignore, key]);
  answer.end.replaceChildren(...[
    relaxations(details.relaxations, drop),
    suggestions(details.follow_ups),
    degradedNote(details.degraded),
    engineNote(details),
  ].filter(Boolean));
}

async function stream(answer, asked, signal) {
  const options = { user_id: userId(), session_id: sessionId(), ignore: asked.ignore };
  if (conversation) options.conversation_id = conversation;
  const request = { messages: [{ role: "user", content: asked.text }], tasteline: options };
  let last = null;
  let hasScrolled = false;
  const scrolled = () => (hasScrolled = true);
  log().addEventListener("wheel", scrolled, { once: true, passive: true });
  log().addEventListener("touchmove", scrolled, { once: true, passive: true });
  for await (const chunk of chat(request, signal)) {
    if (chunk.tasteline) showDetails(answer, (last = chunk.tasteline), asked);
    const words = chunk.choices?.[0]?.delta?.content;
    if (words) answer.say(words);
    if (!hasScrolled) toEnd();
  }
  answer.finish();
  if (last) showEnd(answer, last, asked);
  if (!hasScrolled) toEnd();
}

function showBusy(isBusy) {
  byId("chat-send").hidden = isBusy;
  byId("chat-stop").hidden = !isBusy;
  log().setAttribute("aria-busy", String(isBusy));
}

function showTrouble(answer, problem, asked) {
  answer.end.replaceChildren(el("div", { class: "trouble", role: "alert" }, el("p", { dir: "auto" }, problem.message),
    button("outline", () => ask(asked.text, asked.ignore), {}, "Ask again")));
}

/** Asks the assistant; `ignore` holds keys of constraints that the shopper took back. */
export async function ask(text, ignore = []) {
  running?.abort();
  const control = new AbortController();
  running = control;
  const asked = { text, ignore: [...new Set(ignore)] };
  const answer = startAnswer(text, asked.ignore.length ? "asked again, with fewer wishes" : "");
  byId("chat-restart").hidden = false;
  showBusy(true);
  try {
    await stream(answer, asked, control.signal);
    whenAnswered();
  } catch (problem) {
    answer.finish();
    if (control.signal.aborted) answer.end.replaceChildren(el("p", { class: "engine" }, "Stopped."));
    else showTrouble(answer, problem, asked);
    toEnd();
  } finally {
    if (running === control) showBusy(false);
  }
}

/** Forgets the conversation, for a new start or another person. */
export function restartChat() {
  running?.abort();
  conversation = null;
  byId("chat-restart").hidden = true;
  welcome();
}

function grow() {
  field().style.blockSize = "auto";
  field().style.blockSize = `${Math.min(field().scrollHeight, 160)}px`;
}

function submit(event) {
  event?.preventDefault();
  const text = field().value.trim();
  if (!text) return;
  field().value = "";
  grow();
  ask(text);
}

/** `firstQuestions` are offered before anything is said. */
export function prepareChat(firstQuestions, onAnswered) {
  openings = firstQuestions;
  whenAnswered = onAnswered;
  byId("chat-send").append(icon("send"));
  byId("chat-stop").append(icon("stop"));
  byId("chat-form").addEventListener("submit", submit);
  byId("chat-stop").addEventListener("click", () => running?.abort());
  byId("chat-restart").addEventListener("click", () => {
    restartChat();
    field().focus();
  });
  field().addEventListener("input", grow);
  field().addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
  });
  welcome();
}
