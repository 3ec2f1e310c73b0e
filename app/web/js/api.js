// Talks to the service: JSON calls, the chat stream, problem+json errors and the optional API key.
// Knows addresses and wire formats; knows nothing of the page.

const KEY = "tasteline.key";
let askForKey = null;

/** A failed call. `detail` is a sentence for people. */
export class Problem extends Error {
  constructor({ status = 0, title = "", detail = "" } = {}) {
    super(detail || title || "The shop did not answer.");
    this.name = "Problem";
    this.status = status;
  }
}

/** `handler` gets nothing and promises a key; it is asked when the service answers 401. */
export function onUnauthorised(handler) {
  askForKey = handler;
}

async function problemOf(response) {
  const body = await response.json().catch(() => ({}));
  const field = Array.isArray(body.errors) && body.errors.length ? ` (${Object.values(body.errors[0]).join(": ")})` : "";
  return new Problem({
    status: response.status,
    title: body.title,
    detail: body.detail ? `${body.detail}${field}` : `The shop answered with status ${response.status}.`,
  });
}

async function send(method, path, body, signal, isRetry = false) {
  const key = sessionStorage.getItem(KEY);
  const headers = { Accept: "application/json, text/event-stream" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers.Authorization = `Bearer ${key}`;
  let response;
  try {
    response = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ detail: "The shop cannot be reached. Is it still running?" });
  }
  if (response.status === 401 && askForKey && !isRetry) {
    sessionStorage.setItem(KEY, await askForKey());
    return send(method, path, body, signal, true);
  }
  if (response.status === 401) sessionStorage.removeItem(KEY);
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function call(method, path, body, signal) {
  const response = await send(method, path, body, signal);
  return response.json();
}

export const shop = () => call("GET", "v1/shop");
export const product = (id, signal) => call("GET", `v1/products/${encodeURIComponent(id)}`, undefined, signal);
export const interests = (userId) => call("GET", `v1/users/${encodeURIComponent(userId)}/interests`);
export const recommend = (request, signal) => call("POST", "v1/recommendations", request, signal);
export const search = (request, signal) => call("POST", "v1/search", request, signal);
export const leaving = (signal) => call("GET", "v1/insights/leaving", undefined, signal);
export const offers = (signal) => call("GET", "v1/insights/offers", undefined, signal);
/** The shop-wide view; what is empty or null is left to the service. */
export function insights(choices, signal) {
  const said = Object.entries(choices).filter(([, value]) => value !== null && value !== "");
  return call("GET", `v1/insights?${new URLSearchParams(said)}`, undefined, signal);
}
export const record = (event) => call("POST", "v1/events", event);

/** Yields the chunks of a streamed chat completion, parsed. */
export async function* chat(request, signal) {
  const response = await send("POST", "v1/chat/completions", { model: "tasteline", stream: true, ...request }, signal);
  for await (const data of serverSentEvents(response.body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Problem({ detail: chunk.error.message ?? chunk.error.detail });
    yield chunk;
  }
}

/** The `data` of each server-sent event; comments and other fields are skipped. */
export async function* serverSentEvents(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      pending += value;
      // A lone CR at the end may be the first half of a CRLF: it stays until more has come.
      const blocks = pending.split(/\r\n\r\n|\n\n/);
      pending = blocks.pop();
      for (const block of blocks) {
        const data = block.split(/\r?\n/).filter((line) => line.startsWith("data:"));
        if (data.length) yield data.map((line) => line.slice(5).replace(/^ /, "")).join("\n");
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
