import { call } from "./api.js";
import { confirmed } from "./confirm.js";
import { byId, make, moment } from "./dom.js";
import { attempt } from "./failures.js";
import { onSubmit, say } from "./form.js";
import { forget, hasPasskeys, make as makePasskey } from "./passkeys.js";

const list = byId("passkeys");

export async function start() {
  if (!list) return; // The service has none.
  const here = hasPasskeys();
  byId("passkey-form").hidden = !here;
  byId("passkeys-elsewhere").hidden = here;
  onSubmit(byId("passkey-form"), add);
  byId("passkey-second").addEventListener("change", chooseSecond);
  await show();
}

async function show() {
  const [passkeys, second] = await Promise.all([call("GET", "/auth/passkey/list"), call("GET", "/auth/passkey/second-factor")]);
  list.replaceChildren(...passkeys.map(row));
  byId("passkeys-none").hidden = passkeys.length > 0;
  byId("passkey-one").hidden = passkeys.length !== 1;
  byId("passkey-second").checked = second.required;
  byId("passkey-second").disabled = !passkeys.length;
}

async function add({ device_name: deviceName }, form) {
  const options = await confirmed("POST", "/auth/passkey/register-options");
  const credential = await makePasskey(options);
  await confirmed("POST", "/auth/passkey/register-verify", { credential, ...(deviceName && { deviceName }) });
  form.reset();
  say(form, "good", "The passkey is added. You have a mail about it.");
  await show();
}

function row(passkey) {
  const name = passkey.deviceName;
  const facts = [
    passkey.authenticator,
    passkey.synced === true && "synced between devices",
    passkey.synced === false && "on one device only",
    passkey.id < 0 && "registered at another site of OpenML",
  ].filter(Boolean);
  const rename = make("button", { type: "button", "aria-label": `Rename the passkey ${name}` }, "Rename");
  const remove = make("button", { type: "button", class: "danger", "aria-label": `Remove the passkey ${name}` }, "Remove …");
  const used = passkey.lastUsedAt ? moment(passkey.lastUsedAt) : "never";
  const shown = make(
    "div",
    {},
    make("p", {}, make("strong", {}, name)),
    make("p", { class: "soft small" }, ...facts.map((fact) => `${fact} · `), "added ", passkey.createdAt ? moment(passkey.createdAt) : "at an unknown time", " · last used ", used),
  );
  rename.addEventListener("click", () => ask("rename", passkey));
  remove.addEventListener("click", () => ask("remove", passkey));
  return make("li", {}, shown, make("div", { class: "actions" }, rename, remove));
}

// --- dialogs

let asked = null; // The passkey that a dialog is about.

function ask(what, passkey) {
  asked = passkey;
  const form = byId(`passkey-${what}-form`);
  say(form, "");
  if (what === "rename") form.elements.namedItem("deviceName").value = passkey.deviceName;
  else byId("passkey-removed").textContent = passkey.deviceName;
  byId(`passkey-${what}-dialog`).showModal();
}

async function done(dialog, text) {
  byId(dialog).close();
  byId("passkeys-status").textContent = text;
  await show();
  byId("passkeys-title").focus();
}

if (list) {
  onSubmit(byId("passkey-rename-form"), async ({ deviceName }) => {
    await confirmed("POST", "/auth/passkey/rename", { passkeyId: asked.id, deviceName });
    await done("passkey-rename-dialog", "The passkey has its new name.");
  });
  onSubmit(byId("passkey-remove-form"), async () => {
    const { rpId, credentialId } = await confirmed("POST", "/auth/passkey/remove", { passkeyId: asked.id });
    if (hasPasskeys()) forget(rpId, credentialId);
    await done("passkey-remove-dialog", "The passkey is removed. You have a mail about it.");
  });
  for (const button of document.querySelectorAll(".passkey-dialog [data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
}

async function chooseSecond() {
  const box = byId("passkey-second");
  const required = box.checked;
  const kept = await attempt(box.closest(".field"), () => confirmed("POST", "/auth/passkey/second-factor", { required }));
  if (!kept) box.checked = !required;
  else byId("passkeys-status").textContent = required ? "A passkey is asked for after your password from now on." : "Your password alone is enough again.";
}
