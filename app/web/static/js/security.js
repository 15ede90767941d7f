import { call } from "./api.js";
import { byId } from "./dom.js";
import { load } from "./failures.js";
import { start as startCodes } from "./security-codes.js";
import { start as startLinked } from "./security-linked.js";
import { start as startPasskeys } from "./security-passkeys.js";
import { start as startPassword } from "./security-password.js";
import { start as startTokens } from "./security-tokens.js";
import { askToSignIn, token } from "./session.js";

/** Each section of the page fills itself; one that fails says so, and leaves the others alone. */
const SECTIONS = [startPassword, startPasskeys, startCodes, startLinked, startTokens];

if (token()) load(start);
else askToSignIn();

async function start() {
  const profile = await call("GET", "/profile");
  byId("loading").hidden = true;
  byId("security").hidden = false;
  await Promise.all(SECTIONS.map((section) => section(profile)));
}
