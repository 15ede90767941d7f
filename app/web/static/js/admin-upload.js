import { confirmed } from "./confirm.js";
import { begin, deedButton, fill, personLink, row, showFacts } from "./administration.js";
import { byId, moment, size } from "./dom.js";
import { describe } from "./states.js";

const path = `/admin/uploads/${encodeURIComponent(new URLSearchParams(location.search).get("id") ?? "")}`;

begin(show);

async function show() {
  const upload = await confirmed("GET", path);
  byId("loading").hidden = true;
  byId("story").hidden = false;
  byId("upload-title").textContent = upload.dataset_name || upload.file_name || upload.id;
  showFacts([
    ["Id", upload.id],
    ["Owner", personLink(upload.user_id)],
    ["State", upload.quarantined_at ? "In quarantine" : describe(upload.state).text],
    ["File", upload.file_name],
    ["Size", upload.total_bytes === null ? "" : size(upload.total_bytes)],
    ["SHA-256", upload.sha256 ?? ""],
    ["Dataset", upload.dataset_id === null ? "" : String(upload.dataset_id)],
    ["Worker", upload.lease_owner ?? ""],
    ["Error", upload.error?.detail ?? ""],
  ]);
  byId("deeds").replaceChildren(...deedsFor(upload));
  fill("events", upload.events.map((event) => row([event.state], [moment(event.at), event.detail])));
}

function deedsFor(upload) {
  const deed = (text, question, name) =>
    deedButton(text, question, async (reason) => {
      const { msg } = await confirmed("POST", `${path}/${name}`, { reason });
      byId("done").textContent = `${msg}.`;
      await show();
      byId("upload-title").focus();
    });
  const { canStop, ended } = describe(upload.state);
  const goOn = deed("Let it go on", "Let the upload go on?", "requeue");
  if (upload.quarantined_at) return [goOn, deed("Remove the file", "Remove the file for good?", "remove")];
  if (upload.state === "failed" || upload.state === "duplicate") return [goOn, deed("Quarantine", "Keep the file out of its owner's reach?", "quarantine")];
  if (ended) return [];
  const stop = deed("Cancel", "Cancel the upload and remove its bytes?", "cancel");
  return canStop ? [goOn, stop, deed("Quarantine", "Stop the upload and keep its file?", "quarantine")] : [goOn];
}
