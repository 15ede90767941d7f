import { confirmed } from "./confirm.js";
import { byId } from "./dom.js";
import { onSubmit, passwordSwitch, say } from "./form.js";

export async function start() {
  const form = byId("password-form");
  passwordSwitch(form);
  onSubmit(form, async ({ new_password }) => {
    await confirmed("POST", "/password", { new_password });
    form.reset();
    say(form, "good", "Your password is changed, and all other sessions have ended.");
  });
}
