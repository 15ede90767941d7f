// On every page: the menu fits whether somebody is signed in, and signing out works from anywhere.

import { call } from "./api.js";
import { byId } from "./dom.js";
import { framed, signOut, token } from "./session.js";

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
    await call("POST", "/logout", {});
  } catch (problem) {
    if (problem.kind !== "unauthorized") reason = "signed-out-here"; // Else it had ended already.
  }
  signOut();
  location.assign(`/auth/sign-in?reason=${reason}`);
});
