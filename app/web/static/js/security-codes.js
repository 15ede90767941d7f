// The part of /auth/security about authenticator apps and recovery codes.

import { call } from "./api.js";
import { confirmed } from "./confirm.js";
import { byId, make, moment, moveTo } from "./dom.js";
import { attempt } from "./failures.js";
import { clear, onSubmit } from "./form.js";

const SVG = "http://www.w3.org/2000/svg";
let enrolment = "";
let account = "";

export async function start(profile) {
  account = profile.email;
  await show();
  byId("codes-begin").addEventListener("click", () => attempt(byId("codes-actions"), begin));
  byId("codes-cancel").addEventListener("click", () => leave(byId("codes-begin")));
  onSubmit(byId("codes-form"), enrol);
  for (const [name, deed] of [["renew", renew], ["remove", remove]]) {
    byId(`codes-${name}`).addEventListener("click", () => byId(`codes-${name}-dialog`).showModal());
    onSubmit(byId(`codes-${name}-form`), async () => {
      await deed();
      byId(`codes-${name}-dialog`).close();
    });
  }
  byId("codes-reset-stop").addEventListener("click", () => attempt(byId("codes-reset"), stopReset));
  byId("codes-copy").addEventListener("click", copy);
  byId("codes-download").addEventListener("click", download);
  byId("codes-print").addEventListener("click", () => print());
  byId("codes-kept").addEventListener("click", forgetShown);
  byId("codes-begin").disabled = false; // Only now would a click do what it says.
}

async function show() {
  const { app_since: since, recovery_codes_left: left, reset } = await call("GET", "/second-factor");
  const codes = `${left} recovery ${left === 1 ? "code is" : "codes are"} left.`;
  byId("codes-state").replaceChildren(...(since ? ["On since ", moment(since), `. ${codes}`] : ["Off."]));
  byId("codes-begin").textContent = since ? "Set up another phone …" : "Set up an app …";
  byId("codes-renew").hidden = byId("codes-remove").hidden = !since;
  byId("codes-reset").hidden = !reset;
  if (reset) {
    const text = [`On your request, as it seems, ${reset.asked_by} has begun to remove your second factors. It is done on `, moment(reset.due_at), "."];
    byId("codes-reset-text").replaceChildren(...text);
  }
}

// --- setting up

async function begin() {
  const offer = await confirmed("POST", "/second-factor/totp/offer", {});
  enrolment = offer.enrolment;
  byId("codes-qr").replaceChildren(drawn(offer.qr_code));
  byId("codes-secret").textContent = offer.secret.match(/.{1,4}/g).join(" ");
  byId("codes-account").textContent = account;
  byId("codes-uri").href = offer.uri;
  byId("codes-actions").hidden = true;
  byId("codes-form").hidden = false;
  byId("codes-code").focus();
}

/** The QR code, made of a path: the page's policy loads no picture of elsewhere, and no markup of ours. */
function drawn({ size, path }) {
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", `0 0 ${size} ${size}`);
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", "QR code with the key for your app");
  const dark = document.createElementNS(SVG, "path");
  dark.setAttribute("d", path);
  picture.append(dark);
  return picture;
}

async function enrol({ code }) {
  const { recovery_codes: codes } = await confirmed("POST", "/second-factor/totp", { enrolment, code });
  await leave(byId("codes-title"));
  if (codes.length) showCodes(codes);
}

/** Put away what was offered. */
async function leave(next) {
  enrolment = "";
  for (const id of ["codes-qr", "codes-secret"]) byId(id).replaceChildren();
  byId("codes-uri").removeAttribute("href");
  clear(byId("codes-form"));
  byId("codes-form").reset();
  byId("codes-form").hidden = true;
  byId("codes-actions").hidden = false;
  await show();
  next.focus();
}

async function remove() {
  await confirmed("DELETE", "/second-factor/totp");
  forgetShown();
  await show();
}

async function stopReset() {
  await confirmed("DELETE", "/second-factor/reset");
  await show();
  byId("codes-title").focus();
}

// --- recovery codes

async function renew() {
  const { recovery_codes: codes } = await confirmed("POST", "/second-factor/recovery-codes", {});
  await show();
  showCodes(codes);
}

function showCodes(codes) {
  byId("codes-list").replaceChildren(...codes.map((code) => make("li", {}, code)));
  const today = new Date().toLocaleDateString(undefined, { dateStyle: "medium" });
  byId("codes-shown-whose").textContent = `OpenML, ${account}, ${today}`;
  byId("codes-shown").hidden = false;
  moveTo(byId("codes-shown-title"));
}

const shownText = () => {
  const codes = [...byId("codes-list").children].map((item) => item.textContent);
  return [`Recovery codes: ${byId("codes-shown-whose").textContent}`, ...codes, ""].join("\n");
};

async function copy() {
  try {
    await navigator.clipboard.writeText(shownText());
    byId("codes-shown-status").textContent = "Copied.";
  } catch {
    byId("codes-shown-status").textContent = "Your browser does not let us copy; mark and copy them yourself.";
  }
}

function download() {
  const address = URL.createObjectURL(new Blob([shownText()], { type: "text/plain" }));
  make("a", { href: address, download: "openml-recovery-codes.txt" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
  byId("codes-shown-status").textContent = "The file is on its way to your downloads.";
}

function forgetShown() {
  byId("codes-shown").hidden = true;
  byId("codes-list").replaceChildren();
  byId("codes-shown-status").textContent = "";
  byId("codes-title").focus();
}
