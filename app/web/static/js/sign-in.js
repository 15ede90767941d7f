import { call } from "./api.js";
import { byId, entry, make } from "./dom.js";
import { onSubmit, say } from "./form.js";
import "./providers.js";
import { begin, nextPage } from "./session.js";

const REASONS = {
  ended: "Your session has ended. Sign in again to go on.",
  "signed-out": "You are signed out.",
  "signed-out-here": "You are signed out here, but the service did not hear of it: its session goes on. To end it, sign in again and choose “Sign out everywhere”.",
  "password-changed": "Your password is changed. Sign in with the new one.",
  deleted: "Your account is deleted.",
};

const form = byId("sign-in");
const reason = entry(REASONS, new URLSearchParams(location.search).get("reason"));
if (reason) say(form, "", reason);

onSubmit(form, async ({ username, password }) => {
  const grant = new URLSearchParams({ grant_type: "password", username, password });
  let answer;
  try {
    answer = await call("POST", "/token", grant);
  } catch (problem) {
    if (problem.kind !== "not-confirmed") throw problem;
    const link = make("a", { href: "/auth/confirmation-token" }, "Send the mail again");
    say(form, "warn", "Your e-mail address is not confirmed yet: open the link in the mail we sent. ", link);
    return;
  }
  if (begin(answer.access_token)) location.assign(nextPage());
  else say(form, "bad", "Your browser keeps nothing for this site. Allow it to, and sign in again.");
});
