// What the pages of administrators share: each deed has its reason.

import { confirmed } from "./confirm.js";
import { byId, make, moment } from "./dom.js";
import { load } from "./failures.js";
import { clear, onSubmit } from "./form.js";
import { askToSignIn, token } from "./session.js";
import { describe } from "./states.js";

/** Show a page that only administrators see. */
export function begin(start) {
  if (token()) load(start);
  else askToSignIn();
}

let doDeed = null;
onSubmit(byId("deed-form"), async ({ reason }, form) => {
  await doDeed(reason);
  form.reset();
  byId("deed-dialog").close();
});

/** A button that asks why, and does something then. */
export function deedButton(text, question, work) {
  const button = make("button", { type: "button" }, text);
  button.addEventListener("click", () => {
    doDeed = work;
    clear(byId("deed-form"));
    byId("deed-title").textContent = question;
    byId("deed-dialog").showModal();
  });
  return button;
}

for (const button of document.querySelectorAll("dialog [data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}

/** Show rows in a list, or that there are none. */
export function fill(id, rows) {
  byId(id).replaceChildren(...(rows.length ? rows : [make("li", { class: "soft" }, "None.")]));
}

export function row(title, facts, ...more) {
  return make("li", {}, make("div", {}, make("p", {}, ...title), make("p", { class: "soft small" }, ...facts.filter(Boolean).flatMap((fact, place) => (place ? [" · ", fact] : [fact])))), ...more);
}

export function showFacts(facts) {
  byId("facts").replaceChildren(...facts.filter(([, value]) => value !== null && value !== "").flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

export function uploadRow(upload) {
  const { text, kind } = describe(upload.state);
  const state = upload.quarantined_at ? "In quarantine" : text;
  return row(
    [make("a", { href: `/admin/upload?id=${upload.id}` }, upload.dataset_name || upload.file_name || upload.id), " ", make("span", { class: `badge ${kind ?? ""}` }, state)],
    [moment(upload.created_at), personLink(upload.user_id), upload.dataset_id && `dataset ${upload.dataset_id}`],
  );
}

export function mailRow(mail, renew) {
  const retry = make("button", { type: "button", "aria-label": `Try mail ${mail.id} again` }, "Try again");
  const element = row([`${mail.kind.replaceAll("_", " ")} to ${mail.recipient}`], [moment(mail.created_at), mail.state, mail.last_error], mail.state === "sent" ? "" : retry);
  retry.addEventListener("click", () => renew(element, () => confirmed("POST", `/admin/mails/${mail.id}/retry`, {})));
  return element;
}

export function reportRow(report, ...more) {
  const { kind, subject } = report;
  const about = kind === "user" ? personLink(subject) : kind === "upload" ? make("a", { href: `/admin/upload?id=${subject}` }, `upload ${subject}`) : `dataset ${subject}`;
  return row([report.text], [about, "by ", personLink(report.reporter_id), moment(report.created_at), report.closed_at && "closed"], ...more);
}

export const personLink = (number) => (Number(number) ? make("a", { href: `/admin/person?id=${number}` }, `user ${number}`) : "a deleted user");
