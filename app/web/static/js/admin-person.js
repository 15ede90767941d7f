import { confirmed } from "./confirm.js";
import { begin, deedButton, fill, mailRow, reportRow, row, showFacts, uploadRow } from "./administration.js";
import { byId, make, moment } from "./dom.js";
import { attempt } from "./failures.js";

const path = `/admin/users/${encodeURIComponent(new URLSearchParams(location.search).get("id") ?? "")}`;

begin(show);

async function show() {
  const person = await confirmed("GET", path);
  byId("loading").hidden = true;
  byId("story").hidden = false;
  const { account } = person;
  byId("account-title").textContent = `${account.first_name ?? ""} ${account.last_name ?? ""}`.trim() || account.username;
  showFacts([
    ["Number", String(account.id)],
    ["User name", account.username],
    ["E-mail address", account.email],
    ["State", person.state],
    ["Role", person.administrator ? "administrator" : "user"],
    ["Second factor", secondFactor(person.second_factor)],
  ]);
  byId("deeds").replaceChildren(...deedsFor(person));
  fill("events", person.events.map((event) => row([event.kind], [moment(event.at), event.ip_address, event.administrator_id && `administrator ${event.administrator_id}`, event.detail])));
  fill("uploads", person.uploads.map(uploadRow));
  fill("mails", person.mails.map((mail) => mailRow(mail, renewMail)));
  fill("sessions", person.sessions.map((session) => row([session.user_agent || "Unknown program"], [session.ip_address, moment(session.created_at)])));
  fill("linked", person.linked_accounts.map((link) => row([`${link.provider}: ${link.label}`], [make("span", {}, "linked ", moment(link.created_at)), ...used(link.last_used_at)])));
  fill("passkeys", person.passkeys.map((key) => row([key.deviceName], [key.createdAt && make("span", {}, "added ", moment(key.createdAt)), key.authenticator, ...used(key.lastUsedAt)])));
  fill("tokens", person.api_tokens.map((token) => row([token.name], [token.scopes.join(", "), make("span", {}, "made ", moment(token.created_at)), token.expires_at && make("span", {}, token.expired ? "ended " : "until ", moment(token.expires_at)), ...used(token.last_used_at)])));
  fill("reports", person.reports.map((report) => reportRow(report)));
}

const used = (at) => (at ? [make("span", {}, "last used ", moment(at))] : ["never used"]);

function secondFactor({ app_since: since, recovery_codes_left: left, reset }) {
  const has = since ? `authenticator app, ${left} recovery codes left` : "no authenticator app";
  return reset ? `${has}; to be removed on ${moment(reset.due_at).textContent}` : has;
}

function deedsFor({ state, administrator, second_factor: { app_since: since, reset } }) {
  if (administrator || state === "deleted") return [];
  const deed = (text, question, name, body = {}) =>
    deedButton(text, question, async (reason) => {
      const { msg } = await confirmed("POST", `${path}/${name}`, { reason, ...body });
      byId("done").textContent = `${msg}.`;
      await show();
      byId("account-title").focus();
    });
  if (state === "closed") return [deed("Open", "Open the account?", "open")];
  if (state === "not confirmed")
    return [
      deed("Confirm", "Confirm the address?", "confirm"),
      deed("Mail the link again", "Mail the link once more?", "mail", { mail: "confirmation" }),
      deed("Close", "Close the account?", "close"),
    ];
  return [
    deed("Close", "Close the account?", "close"),
    deed("End all sessions", "End all sessions?", "end-sessions"),
    deed("Mail a password link", "Mail a link to choose a new password?", "mail", { mail: "password-reset" }),
    ...(since && !reset ? [deed("Remove the second factor", "Remove the second factor in 24 hours, unless its owner objects?", "reset-second-factor")] : []),
  ];
}

const renewMail = (element, work) =>
  attempt(element.firstChild, async () => {
    await work();
    await show();
    byId("done").textContent = "The mail is tried again.";
  });
