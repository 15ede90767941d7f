import { call } from "./api.js";
import { byId, entry, make } from "./dom.js";
import { onSubmit, say } from "./form.js";
import "./providers.js";
import { begin, nextPage, staySignedIn, takeHalfDone } from "./session.js";
import { askForCode, startCode } from "./sign-in-code.js";
import { askForPasskey, startPasskeys } from "./sign-in-passkeys.js";

const REASONS = {
  ended: "Your session has ended. Sign in again to go on.",
  "signed-out": "You are signed out.",
  "signed-out-here": "You are signed out here, but the service did not hear of it: its session goes on. To end it, sign in again and choose “Sign out everywhere”.",
  "password-changed": "Your password is changed. Sign in with the new one.",
  deleted: "Your account is deleted.",
  "too-slow": "This took too long, or was done already. Sign in again.",
};

const form = byId("sign-in");
const reason = entry(REASONS, new URLSearchParams(location.search).get("reason"));
if (reason) say(form, "", reason);

onSubmit(form, async ({ username, password, stay }) => {
  const grant = new URLSearchParams({ grant_type: "password", username, password, ...(stay && { stay: "true" }) });
  if (stay) staySignedIn(); // Where nothing comes of it, the next page finds no cookie, and forgets it.
  try {
    go(form, await call("POST", "/token", grant, {}, "same-origin"));
  } catch (problem) {
    if (problem.kind === "not-confirmed") offerMail();
    else if (!asksForMore(problem)) throw problem;
  }
});
startPasskeys(go);
startCode(go);

function go(where, { access_token: accessToken }) {
  if (begin(accessToken)) location.assign(nextPage());
  else say(where, "bad", "Your browser keeps nothing for this site. Allow it to, and sign in again.");
}

function offerMail() {
  const link = make("a", { href: "/auth/confirmation-token" }, "Send the mail again");
  say(form, "warn", "Your e-mail address is not confirmed yet: open the link in the mail we sent. ", link);
}

/** Go on to the second step, if that is what the service wants, and this page can. */
function asksForMore({ kind, document: { ticket, methods } }) {
  if (kind !== "second-factor-needed") return false;
  const takesPasskey = methods.includes("passkey") && askForPasskey(ticket);
  const takesCode = methods.includes("code") || methods.includes("recovery_code");
  if (takesCode) askForCode(ticket);
  form.hidden = takesPasskey || takesCode;
  return form.hidden;
}

// A log-in with a provider that lacks its second factor.
const halfDone = takeHalfDone();
if (halfDone?.stay) staySignedIn();
if (halfDone && !asksForMore({ kind: "second-factor-needed", document: halfDone })) {
  say(form, "warn", "Your account asks for a second step, which this browser cannot do here.");
}
