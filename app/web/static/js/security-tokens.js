import { call } from "./api.js";
import { confirmed } from "./confirm.js";
import { byId, make, moment, moveTo } from "./dom.js";
import { attempt } from "./failures.js";
import { onSubmit } from "./form.js";

export async function start(profile) {
  startTokens();
  if (!byId("publishers")) return showTokens(); // This installation believes no CI service.
  byId("publisher-user").textContent = String(profile.id);
  startPublishers();
  await Promise.all([showTokens(), showPublishers()]);
}

// --- API tokens

function startTokens() {
  onSubmit(byId("token-form"), async ({ name, days }, form) => {
    const scopes = new FormData(form).getAll("scopes");
    const made = await confirmed("POST", "/tokens", { name, scopes, expires_in_days: days ? Number(days) : null });
    form.reset();
    byId("make-token").open = false;
    byId("new-token-text").textContent = made.token;
    byId("tokens-status").textContent = "";
    await showTokens();
    moveTo(byId("new-token"));
  });
  byId("copy-token").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(byId("new-token-text").textContent);
      byId("tokens-status").textContent = "Copied.";
    } catch {
      byId("tokens-status").textContent = "Your browser does not let us copy; mark the token, and copy it.";
    }
  });
  byId("hide-token").addEventListener("click", () => {
    byId("new-token-text").textContent = "";
    byId("new-token").hidden = true;
    byId("tokens-title").focus();
  });
}

async function showTokens() {
  const { tokens } = await call("GET", "/tokens");
  byId("tokens").replaceChildren(...tokens.map(tokenRow));
  if (!tokens.length) byId("tokens-status").textContent = "None yet.";
}

function tokenRow(token) {
  const end = token.expires_at ? [token.expired ? "expired " : "until ", moment(token.expires_at)] : ["until it is revoked"];
  const used = token.last_used_at ? ["last used ", moment(token.last_used_at), ` from ${token.last_network}`] : ["never used"];
  const name = token.trusted_publisher === null ? token.name : `For the job ${token.name}`;
  return row(name, [token.scopes.join(", "), " · ", ...end, " · ", ...used], "Revoke", async () => {
    await confirmed("DELETE", `/tokens/${token.id}`);
    await showTokens();
    byId("tokens-status").textContent = `${token.name} works no more.`;
    byId("tokens-title").focus();
  });
}

// --- trusted publishers

function startPublishers() {
  onSubmit(byId("publisher-form"), async ({ issuer, subject, claims }, form) => {
    await confirmed("POST", "/trusted-publishers", { issuer, subject: subject.trim(), claims: readClaims(claims) });
    form.reset();
    byId("add-publisher").open = false;
    await showPublishers();
    byId("publishers-status").textContent = "From now on these jobs may publish in your name.";
    byId("publishers-title").focus();
  });
}

/** Lines of "name: value", as an object. */
function readClaims(text) {
  const lines = text.split("\n").filter((line) => line.trim());
  return Object.fromEntries(lines.map((line) => {
    const [name, ...value] = line.split(":");
    return [name.trim(), value.join(":").trim()];
  }));
}

async function showPublishers() {
  const { trusted_publishers: publishers } = await call("GET", "/trusted-publishers");
  byId("publishers").replaceChildren(...publishers.map(publisherRow));
  if (!publishers.length) byId("publishers-status").textContent = "None yet.";
}

function publisherRow(publisher) {
  const claims = Object.entries(publisher.claims).map(([name, value]) => ` · ${name}: ${value}`);
  const used = publisher.last_used_at ? [" · last used ", moment(publisher.last_used_at)] : [" · never used"];
  return row(publisher.subject, [publisher.issuer, ...claims, ...used], "Remove", async () => {
    await confirmed("DELETE", `/trusted-publishers/${publisher.id}`);
    await showPublishers();
    byId("publishers-status").textContent = `${publisher.subject} is trusted no more.`;
    byId("publishers-title").focus();
  });
}

function row(name, facts, deed, work) {
  const button = make("button", { type: "button", class: "danger", "aria-label": `${deed} ${name}` }, deed);
  button.addEventListener("click", () => attempt(button, work));
  return make("li", {}, make("div", {}, make("strong", {}, name), make("br"), make("span", { class: "soft small" }, ...facts)), button);
}
