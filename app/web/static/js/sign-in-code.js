// The second step of a log-in, by a code of an authenticator app or a recovery code.

import { call } from "./api.js";
import { byId } from "./dom.js";
import { isCode, onSubmit } from "./form.js";

const form = byId("second-step");
const code = byId("code");
let ticket = "";

/** Show the form for the code of a log-in that `given` is the ticket of. */
export function askForCode(given) {
  ticket = given;
  form.hidden = false;
  code.focus();
}

/** Call `go(form, answer)` with the new session. */
export function startCode(go) {
  onSubmit(form, async (values) => {
    const proof = isCode(values.code) ? { code: values.code } : { recovery_code: values.code };
    try {
      go(form, await call("POST", "/sign-in/code", { ticket, ...proof }, {}, "same-origin"));
    } catch (problem) {
      if (problem.kind === "wrong-credentials") problem.fields = [{ field: "code", message: problem.message }];
      if (problem.kind === "ticket-not-valid") location.assign("/auth/sign-in?reason=too-slow");
      else throw problem;
    }
  });
}

// A phone shows digits only, until somebody has something else to type.
byId("type-letters").addEventListener("click", () => {
  code.inputMode = "text";
  code.autocomplete = "off";
  code.focus();
});
