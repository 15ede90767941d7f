// What became of an upload, in words, and what can be done about it.

import { count } from "./charts.js";
import { make, moment, safeLink, size } from "./dom.js";
import { BEFORE, pageOf } from "./states.js";

/** Return what is said: kind, title, text and more; `[null]` where there is nothing. `on` does what its buttons say. */
export function outcomeOf(upload, on) {
  const link = safeLink(upload.dataset_url);
  const open = link && make("a", { class: "button primary", href: link }, `Open dataset ${upload.dataset_id}`);
  if (upload.state === "receiving") {
    const text = "Not all bytes are here. Keep the page open that sends them, or choose the same file there again: it goes on where it stopped. ";
    return ["warn", "The file is still coming in", text, make("p", {}, make("a", { href: "/auth/upload-dataset" }, "Go on sending"))];
  }
  if (upload.state === "ready" && upload.error) {
    if (isUnread(upload)) return ["bad", "It cannot be read so", `${upload.error.detail} Say below how to read it, or cancel it and send another file.`];
    const back = on.back && make("button", { type: "button", onclick: on.back }, "Go back to how it was read");
    return ["bad", "It cannot be read so", `${upload.error.detail} What you see is how it was read before.`, back && make("div", { class: "actions" }, back)];
  }
  if (upload.state === "active") return ["good", "Your dataset is on OpenML", "It is active: everybody can find and use it.", open];
  if (upload.state === "published" || upload.state === "processing") {
    return ["good", "OpenML has your dataset", "It looks at it now; then it becomes active. You may close this page.", open];
  }
  if (upload.state === "duplicate") return ["warn", "It is on OpenML already", BEFORE, make("div", { class: "actions" }, make("button", { type: "button", onclick: on.again }, "Publish it once more"), open)];
  if (upload.state === "received" && upload.duplicate_of) return waiting(upload);
  if (upload.state === "cancelled") return ["warn", "This upload was cancelled", "Its bytes are gone; nothing was published.", make("p", {}, make("a", { href: "/auth/my-uploads" }, "Your uploads"))];
  if (upload.state === "failed") {
    const title = upload.dataset_id === null ? "It was not published" : "OpenML could not process the dataset";
    const { column } = upload.error;
    const find = column && make("p", {}, make("button", { type: "button", onclick: () => on.find(column) }, `Show column ${column}`));
    const again = !canRetry(upload) && make("p", {}, make("a", { href: "/auth/upload-dataset" }, "Send a file"));
    return ["bad", title, `${upload.error.detail} ${whatToDo(upload)}`, find, again, open];
  }
  return [null];
}

/** Where another upload of the same file goes first. */
function waiting(upload) {
  const other = make("a", { class: "button", href: pageOf({ id: upload.duplicate_of }) }, "See how that one fares");
  return ["warn", "You are publishing this file already", "Another upload of yours has the same file and name. This one is published only if that one is not.", make("p", {}, other)];
}

function whatToDo(upload) {
  if (upload.error.correct === "file") return "Correct the file, then send it again.";
  if (!canRetry(upload)) return "Send the file again.";
  return upload.error.correct === "nothing" ? "" : "Correct it below, then try again.";
}

/** Whether it waits to be told how to read its file, of which no table could be made so far. */
export const isUnread = ({ state, error, row_count: rows }) => state === "ready" && error !== null && rows === null;

/** Whether the bytes that are here can still become a dataset. */
export function canRetry({ error, dataset_id: published, sha256 }) {
  return published === null && sha256 !== null && error?.type.split("/").pop() !== "upload-gone" && error?.correct !== "file";
}

export function factsOf(upload) {
  const parts = [
    upload.size === null ? null : size(upload.size),
    upload.row_count === null ? null : `${count(upload.row_count)} rows × ${count(upload.column_count)} columns`,
    upload.format.toUpperCase(),
  ].filter(Boolean);
  return [moment(upload.created_at), ...parts.map((part) => ` · ${part}`)];
}

/** The step at which an upload ended, as far as its facts tell. */
export function stoppedAt(upload) {
  if (upload.state === "duplicate") return 3;
  if (upload.dataset_id !== null) return 4;
  if (upload.sha256 === null) return 0;
  return upload.row_count === null ? 1 : 3;
}
