// Small things that pages are made of. Text only ever becomes text: nothing here reads HTML.

export const byId = (id) => document.getElementById(id);

/** Make an element: `make("a", {href: "/"}, "Home")`. Properties that start with "on" are listeners. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Show a part of the page that was hidden, and move there, so that a screen reader reads on from it. */
export function moveTo(element) {
  element.hidden = false;
  if (!element.hasAttribute("tabindex")) element.tabIndex = -1;
  element.focus();
}

/** Draw something anew, and leave the focus on what has the same id then. */
export function keepingFocus(draw) {
  const { id } = document.activeElement ?? {};
  draw();
  if (id && document.activeElement?.id !== id) byId(id)?.focus({ preventScroll: true });
}

/** A moment as the reader's own clock and language show it. */
export function moment(text) {
  const date = new Date(text);
  const shown = date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  return make("time", { datetime: text }, shown);
}

export function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  let step = 0;
  while (bytes >= 1000 && step < units.length - 1) {
    bytes /= 1000;
    step += 1;
  }
  return `${step ? bytes.toFixed(1) : bytes} ${units[step]}`;
}

/** An address from the service, if a link may lead there. */
export function safeLink(address) {
  return /^https?:\/\//.test(address ?? "") ? address : null;
}

/** What a record says of a name that came from elsewhere: "constructor" is a name, too, and every object has one. */
export const entry = (record, name) => (Object.hasOwn(record, name) ? record[name] : undefined);
