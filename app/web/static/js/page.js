// On every page: the menu fits whether somebody is signed in, signing out works from anywhere, and what everybody is
// told is told.

import { call } from "./api.js";
import { byId, make } from "./dom.js";
import { framed, signOut, token, wake } from "./session.js";

document.body.classList.toggle("framed", framed);
const signedIn = Boolean(token());
for (const item of document.querySelectorAll("[data-when]")) {
  item.hidden = (item.dataset.when === "signed-in") !== signedIn;
}
for (const link of document.querySelectorAll(".top a")) {
  if (link.pathname === location.pathname.replace(/(.)\/$/, "$1")) link.setAttribute("aria-current", "page");
}

// A page that comes back from the browser's memory must not show what somebody has signed out of.
addEventListener("pageshow", (event) => {
  if (event.persisted && Boolean(token()) !== signedIn) location.reload();
});

byId("sign-out").addEventListener("click", async () => {
  let reason = "signed-out";
  try {
    await wake(); // Asleep for hours: its cookie works longer than its token.
    await call("POST", "/logout", {});
  } catch (problem) {
    if (problem.kind !== "unauthorized") reason = "signed-out-here"; // Else it had ended already.
  }
  signOut();
  location.assign(`/auth/sign-in?reason=${reason}`);
});

if (!framed) tell();

async function tell() {
  try {
    const { announcements, read_only: readOnly } = await call("GET", "/announcements");
    const told = announcements.map(({ text }) => make("p", { class: "note" }, text));
    if (readOnly) told.unshift(make("p", { class: "note warn" }, "Nothing can be changed here at the moment. ", readOnly.text));
    byId("notices").replaceChildren(...told);
  } catch {
    // The page goes on without.
  }
}
