// Log-ins with a provider: the way there. What the page that comes back has to know stays in this tab.

import { call } from "./api.js";

const FLOW = "openml-provider";

/** What was begun in this tab, once; an unknown return is a log-in that began elsewhere, which the service refuses. */
export function takeBegun() {
  try {
    const begun = JSON.parse(sessionStorage.getItem(FLOW));
    sessionStorage.removeItem(FLOW);
    return begun ?? {};
  } catch {
    return {};
  }
}

/** Leave for the provider: `begun` is kept for the page that it sends the browser back to. */
export function leave(address, begun) {
  try {
    sessionStorage.setItem(FLOW, JSON.stringify(begun));
  } catch {
    // Site data is switched off; the page that comes back says so.
  }
  location.assign(address);
}

/** Begin a log-in; `token` is that of the mail that led here. */
async function begin(provider, token) {
  const body = token ? { token } : {};
  const { address } = await call("POST", `/auth/oauth/${provider}/start`, body, {}, "same-origin");
  leave(address, { next: new URLSearchParams(location.search).get("next"), stay: document.querySelector("#stay")?.checked ?? false });
}

for (const place of document.querySelectorAll("[data-providers]")) {
  const note = place.querySelector("[data-provider-note]");
  for (const button of place.querySelectorAll("[data-provider]")) {
    button.disabled = false; // Only now would a click do what it says.
    button.addEventListener("click", async () => {
      if (button.getAttribute("aria-busy") === "true") return;
      button.setAttribute("aria-busy", "true");
      note.replaceChildren();
      try {
        await begin(button.dataset.provider, new URLSearchParams(location.search).get("token"));
      } catch (problem) {
        note.className = "note bad";
        note.replaceChildren(problem.message);
      } finally {
        button.removeAttribute("aria-busy");
      }
    });
  }
}
