// "Confirm that it is you": one dialog for each action that the service refuses until somebody has shown who they are.

import { call, Problem } from "./api.js";
import { byId } from "./dom.js";
import { isCode, onSubmit } from "./form.js";
import { use } from "./passkeys.js";
import { askToSignIn } from "./session.js";

/** What is sent to `POST /reauthenticate`, by the field that the service names; made of the values of the form. */
const METHODS = {
  password: async ({ password }) => ({ password }),
  code: async ({ code }) => (isCode(code) ? { code } : { recovery_code: code }),
  passkey: async () => ({ passkey: await use(await call("POST", "/auth/passkey/confirm-options")) }),
};

/** Call the API; where it wants to know who is there, ask, and call again. */
export async function confirmed(method, path, body, credentials) {
  try {
    return await call(method, path, body, {}, credentials);
  } catch (problem) {
    if (problem.kind !== "password-needed") throw problem;
    await askAgain(problem.document.methods ?? ["password"]);
    return call(method, path, body, {}, credentials);
  }
}

const dialog = byId("confirm-dialog");
let asked = null; // The promise that all who wait share, and how it is settled.

function askAgain(methods) {
  if (!asked) {
    asked = {};
    asked.promise = new Promise((resolve, reject) => Object.assign(asked, { resolve, reject }));
    for (const form of dialog.querySelectorAll("form")) form.hidden = !methods.includes(form.dataset.method);
    dialog.showModal();
  }
  return asked.promise;
}

for (const form of dialog.querySelectorAll("form")) {
  const { method } = form.dataset;
  onSubmit(form, async (values) => {
    try {
      await call("POST", "/reauthenticate", await METHODS[method](values));
    } catch (problem) {
      if (problem.kind === "wrong-credentials" && form.elements.namedItem(method)) problem.fields = [{ field: method, message: problem.message }];
      throw problem;
    }
    form.reset();
    asked?.resolve();
    asked = null;
    dialog.close();
  });
}
dialog.addEventListener("close", () => {
  asked?.reject(new Problem({ detail: "Nothing was done: this needs to know that it is you." }));
  asked = null;
});
dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
dialog.querySelector("[data-sign-in]").addEventListener("click", (event) => {
  event.preventDefault();
  askToSignIn();
});
