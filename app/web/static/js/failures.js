// What went wrong is said where it happened, and for everybody: seen beside it, and read out.

import { Problem } from "./api.js";
import { byId, make } from "./dom.js";

const notes = new WeakMap(); // Place -> the note behind it.

/** The problem in words for people. A fault of ours belongs into the console as well. */
export function inWords(problem) {
  if (problem instanceof Problem) return problem.message;
  reportError(problem);
  return "Something in this page went wrong. Load it again.";
}

/** Do something and return whether it worked. If not, it is said behind `place` until the next attempt there. */
export async function attempt(place, work) {
  settle(place);
  try {
    await work();
    return true;
  } catch (problem) {
    complain(place, problem);
    notes.get(place)?.scrollIntoView({ block: "nearest" });
    return false;
  }
}

/** Say behind `place` what went wrong, until it is settled. */
export function complain(place, problem) {
  if (problem.kind === "unauthorized") return; // On the way to the sign-in page.
  const text = inWords(problem);
  if (notes.get(place)?.textContent === text) return; // Once is enough to be read out.
  settle(place);
  const note = make("p", { class: "note bad", role: "alert" }, text);
  notes.set(place, note);
  place.after(note);
}

export function settle(place) {
  notes.get(place)?.remove();
  notes.delete(place);
}

/** Fetch what a page shows; if that fails, say so instead. */
export async function load(work) {
  const loaded = await attempt(document.querySelector("main h1"), work);
  const loading = byId("loading");
  if (loading && !loaded) loading.hidden = true;
}
