// The steps that people see of an upload, as a list: what is done, what is under way.

import { byId } from "./dom.js";

const SAID = { done: " (done)", now: " (under way)", stopped: " (stopped)" };

/** Mark the steps of these names; `kind` is what becomes of the current one. */
export function markSteps(names, current, kind = "now") {
  names.forEach((name, index) => {
    const item = byId(`step-${name}`);
    const state = index < current ? "done" : index === current ? kind : "";
    item.className = state;
    if (index === current) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
    item.querySelector("[data-state]").textContent = SAID[state] ?? "";
  });
}
