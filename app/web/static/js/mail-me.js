// Two pages that ask for a mail: a new confirmation link, or a link that resets the password.

import { call } from "./api.js";
import { byId, moveTo } from "./dom.js";
import { onSubmit } from "./form.js";

const form = byId("mail-me");
onSubmit(form, async ({ email }) => {
  await call("POST", form.dataset.path, { email });
  for (const place of document.querySelectorAll("[data-address]")) place.textContent = email.trim();
  form.hidden = true;
  moveTo(byId("mailed"));
});
