import { confirmed } from "./confirm.js";
import { begin, deedButton, fill, mailRow, personLink, reportRow, row, uploadRow } from "./administration.js";
import { byId, make, moment } from "./dom.js";
import { attempt } from "./failures.js";
import { onSubmit, say } from "./form.js";

begin(async () => {
  await showWorkers();
  byId("loading").hidden = true;
  byId("administration").hidden = false;
  await Promise.all([showReports(), showUploads(), showTold(), showMails()]);
});

onSubmit(byId("find"), async ({ text }) => {
  const { users } = await confirmed("GET", `/admin/users?${new URLSearchParams({ text })}`);
  fill(
    "people",
    users.map((user) => row([personLink(user.id), ` ${user.first_name} ${user.last_name}`], [user.username, user.email, user.active ? "" : user.closed_at ? "closed" : "not open"])),
  );
});

async function showWorkers() {
  const { workers, queues } = await confirmed("GET", "/admin/workers");
  fill("workers", [
    ...workers.map((worker) => row([`${worker.host}, process ${worker.pid}`], [worker.working ? "works" : `gone ${worker.fault}`, moment(worker.seen_at)])),
    ...queues.map((queue) => row([queue.name], [`due for ${Math.round(queue.seconds)} seconds`])),
  ]);
}

async function showReports() {
  const { reports } = await confirmed("GET", "/admin/reports");
  const close = (report) =>
    deedButton("Close", `Close report ${report.id}?`, async (reason) => {
      await confirmed("POST", `/admin/reports/${report.id}/close`, { reason });
      await showReports();
      byId("reports-title").focus();
    });
  fill("reports", reports.map((report) => reportRow(report, close(report))));
}

async function showUploads() {
  const { uploads } = await confirmed("GET", `/admin/uploads?${byId("state").value}`);
  fill("uploads", uploads.map(uploadRow));
}
byId("state").addEventListener("change", () => attempt(byId("state"), showUploads));

async function showMails() {
  const { mails } = await confirmed("GET", "/admin/mails?state=failed");
  const renew = (element, work) =>
    attempt(element.firstChild, async () => {
      await work();
      await showMails();
      byId("mails-title").focus();
    });
  fill("mails", mails.map((mail) => mailRow(mail, renew)));
}

async function showTold() {
  const { announcements, read_only: readOnly } = await confirmed("GET", "/announcements");
  const end = (notice, path) => {
    const button = make("button", { type: "button", "aria-label": `End: ${notice.text}` }, "End");
    button.addEventListener("click", () =>
      attempt(button, async () => {
        await confirmed("DELETE", path);
        await showTold();
        byId("notices-title").focus();
      }),
    );
    return row([notice.text], [notice.ends_at ? make("span", {}, "until ", moment(notice.ends_at)) : "until it is ended", path.endsWith("only") && "read-only mode"], button);
  };
  fill("told", [...(readOnly ? [end(readOnly, "/admin/read-only")] : []), ...announcements.map((notice) => end(notice, `/admin/announcements/${notice.id}`))]);
}

onSubmit(byId("tell"), async ({ text, minutes, read_only: readOnly }, form) => {
  const ends = minutes ? new Date(Date.now() + Number(minutes) * 60_000).toISOString() : null;
  const body = { text, ends_at: ends };
  if (readOnly) await confirmed("PUT", "/admin/read-only", body);
  else await confirmed("POST", "/admin/announcements", body);
  form.reset();
  say(form, "good", "Everybody is told.");
  await showTold();
});
