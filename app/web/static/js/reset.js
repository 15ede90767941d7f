import { call } from "./api.js";
import { byId, moveTo } from "./dom.js";
import { onSubmit, passwordSwitch } from "./form.js";
import { forget } from "./session.js";

const form = byId("reset");
const url = location.href;

function refuse() {
  form.hidden = true;
  moveTo(byId("dead-link"));
}

passwordSwitch(form);
onSubmit(form, async ({ password }) => {
  try {
    await call("POST", "/resetpassword", { url, password });
  } catch (problem) {
    if (problem.kind !== "link-not-valid") throw problem;
    refuse();
    return;
  }
  forget(); // The old password's sessions have ended.
  location.replace("/auth/sign-in?reason=password-changed");
});

// Say at once that a link is too old, before somebody thinks of a password.
call("POST", "/forgot-token", { url }).catch((problem) => {
  if (problem.kind === "link-not-valid") refuse();
});
