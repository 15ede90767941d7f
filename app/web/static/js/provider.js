// The page that a provider sends the browser back to. Code and state leave the address before anything else is done.

import { call } from "./api.js";
import { byId, entry, moveTo } from "./dom.js";
import { onSubmit } from "./form.js";
import { takeBegun } from "./providers.js";
import { begin, keepHalfDone, nextPage, staySignedIn } from "./session.js";

const REFUSALS = {
  access_denied: "You did not let us know who you are there. Nothing has happened.",
  temporarily_unavailable: "The provider is busy. Try again in a while.",
  server_error: "The provider had a fault of its own. Try again in a while.",
};
const { provider } = byId("coming").dataset;
const answer = new URLSearchParams(location.search);
const begun = takeBegun();
history.replaceState(null, "", location.pathname + (begun.next ? `?${new URLSearchParams({ next: begun.next })}` : ""));

if (begun.links) byId("again").href = "/auth/security";
if (answer.get("code")) finish();
else fail(entry(REFUSALS, answer.get("error") ?? "") ?? "The provider's answer says nothing that we know. Begin again.");

async function finish() {
  const body = Object.fromEntries(["code", "state", "iss"].filter((name) => answer.has(name)).map((name) => [name, answer.get(name)]));
  try {
    if (begun.links) {
      await call("POST", `/linked-accounts/${provider}`, body, {}, "same-origin");
      location.replace("/auth/security");
      return;
    }
    const done = await call("POST", `/auth/oauth/${provider}`, { ...body, stay: begun.stay === true }, {}, "same-origin");
    if (begun.stay) staySignedIn(); // Not before: the next page would find no cookie, and forget it.
    if (done.access_token) enter(done.access_token);
    else ask(done);
  } catch (problem) {
    if (problem.kind === "second-factor-needed") askForMore(problem.document);
    else fail(problem.message);
  }
}

/** The sign-in page asks for the second factor, after whatever came first. */
function askForMore({ ticket, methods }) {
  keepHalfDone({ ticket, methods, stay: begun.stay === true });
  location.replace(`/auth/sign-in?${new URLSearchParams({ next: begun.next ?? "" })}`);
}

function enter(accessToken) {
  if (begin(accessToken)) location.replace(nextPage());
  else fail("Your browser keeps nothing for this site. Allow it to, and sign in again.");
}

function ask({ next, ticket, email }) {
  byId("coming").hidden = true;
  if (next === "mail") {
    mailed(email);
    return;
  }
  const form = byId("address");
  form.elements.email.value = email;
  onSubmit(form, async (values) => {
    await call("POST", "/auth/oauth-address", { ticket, email: values.email });
    form.hidden = true;
    mailed(values.email.trim());
  });
  form.hidden = false;
  byId("address-title").focus();
}

function mailed(address) {
  document.querySelector("[data-address]").textContent = address;
  moveTo(byId("mailed"));
}

function fail(reason) {
  byId("coming").hidden = true;
  byId("reason").textContent = reason;
  moveTo(byId("failed"));
}
