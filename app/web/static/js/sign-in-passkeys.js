// Passkeys on the sign-in page: instead of name and password, and after them.

import { call } from "./api.js";
import { byId } from "./dom.js";
import { inWords } from "./failures.js";
import { onSubmit, say } from "./form.js";
import { hasPasskeys, offerBesideNames, signIn, use } from "./passkeys.js";
import { staySignedIn } from "./session.js";

const form = byId("passkey-sign-in");
let ticket = null; // Of a log-in that lacks a second factor.
let stopOffering = () => {};

/** Whether this browser is to stay signed in; where nothing comes of it, the next page finds no cookie, and forgets it. */
function stays() {
  const { checked } = byId("stay");
  if (checked) staySignedIn();
  return checked;
}

/** Offer passkeys, if there are any here; `go(form, answer)` is called with what the service answers. */
export async function startPasskeys(go) {
  if (!form || !hasPasskeys()) return;
  form.hidden = false;
  onSubmit(form, async () => {
    stopOffering();
    go(form, ticket ? await secondStep() : await signIn(stays));
  });
  const failed = (problem) => say(form, "bad", inWords(problem));
  stopOffering = await offerBesideNames(stays, (answer) => go(form, answer), failed);
}

/** Ask for a passkey after the password; false if that cannot be done here. */
export function askForPasskey(given) {
  if (!form || !hasPasskeys()) return false;
  stopOffering();
  ticket = given;
  say(form, "", "So far, so good. Your account asks for a passkey as well.");
  const button = form.querySelector("button");
  button.textContent = "Use a passkey";
  button.focus();
  return true;
}

async function secondStep() {
  const credential = await use(await call("POST", "/sign-in/passkey/options", { ticket }));
  return call("POST", "/sign-in/passkey", { ticket, credential }, {}, "same-origin");
}
