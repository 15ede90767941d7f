import { confirmed } from "./confirm.js";
import { byId } from "./dom.js";
import { onSubmit, passwordSwitch, say } from "./form.js";
import { begin } from "./session.js";

export async function start() {
  const form = byId("password-form");
  passwordSwitch(form);
  onSubmit(form, async ({ new_password }) => {
    const { access_token } = await confirmed("POST", "/password", { new_password });
    begin(access_token);
    form.reset();
    say(form, "good", "Your password is changed, and all other sessions have ended.");
  });
}
