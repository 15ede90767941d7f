import { call, Problem } from "./api.js";
import { byId, moveTo } from "./dom.js";
import { onSubmit, passwordSwitch } from "./form.js";
import "./providers.js";

const form = byId("sign-up");
passwordSwitch(form);
onSubmit(form, async ({ first_name, last_name, email, password }) => {
  const { msg } = await call("POST", "/signup", { first_name, last_name, email, password }, {}, "same-origin");
  if (msg !== "User created") {
    const message = "There is an account with this address already. Sign in, or reset its password.";
    throw new Problem({ detail: message, errors: [{ field: "email", message }] });
  }
  for (const place of document.querySelectorAll("[data-address]")) place.textContent = email.trim();
  form.hidden = true;
  moveTo(byId("signed-up"));
});
