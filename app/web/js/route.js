// What is on show, kept in the address after "#", so that a link or the back button brings it back.

const SINGLE = ["person", "q", "category", "product"];
const watchers = [];

/** `{person, q, category, product, ignore}`: texts, "" where absent; `ignore` is a list of constraint keys. */
export function here() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const route = { ignore: parameters.getAll("ignore") };
  for (const name of SINGLE) route[name] = parameters.get(name) ?? "";
  return route;
}

function hashOf(route) {
  const parameters = new URLSearchParams();
  for (const name of SINGLE) if (route[name]) parameters.set(name, route[name]);
  if (route.q) for (const key of route.ignore) parameters.append("ignore", key);
  return `#${parameters}`;
}

/** Changes part of what is on show. A new query forgets the constraints that were taken back from the old one. */
export function go(changes, { replace = false } = {}) {
  const old = here();
  const forget = "q" in changes && changes.q !== old.q ? { ignore: [] } : {};
  const hash = hashOf({ ...old, ...forget, ...changes });
  if (hash === (location.hash || "#")) return tell();
  if (replace) {
    history.replaceState(null, "", hash);
    return tell();
  }
  location.hash = hash;
  return undefined;
}

export function onRoute(watcher) {
  watchers.push(watcher);
}

function tell() {
  const route = here();
  for (const watcher of watchers) watcher(route);
}

addEventListener("hashchange", tell);
