// What the states of an upload are called here, and the four steps that people see of them.

import { call } from "./api.js";

export const STEPS = ["send", "convert", "publish", "process"];

const STATES = {
  receiving: { step: 0, text: "Receiving", canStop: true },
  verifying: { step: 1, text: "Being looked at", canStop: true },
  ready: { step: 1, text: "Waits for you", kind: "warn", canStop: true },
  received: { step: 1, text: "Waiting to be read", canStop: true },
  checked: { step: 1, text: "Being converted", canStop: true },
  converted: { step: 2, text: "Waiting for OpenML", canStop: true },
  sending: { step: 2, text: "Going to OpenML" },
  published: { step: 3, text: "Published; being processed" },
  processing: { step: 3, text: "Published; being processed" },
  active: { step: 4, text: "Active", kind: "good", ended: true },
  cancelled: { step: -1, text: "Cancelled", ended: true },
  duplicate: { step: 2, text: "Published before", kind: "warn", ended: true },
  failed: { step: -1, text: "Failed", kind: "bad", ended: true },
};

export function describe(state) {
  return STATES[state] ?? { step: 1, text: state, ended: false };
}

/** Ask again and again with growing pauses, until `ask` returns true. It stops while nobody looks at the page. */
export async function follow(ask, { first = 400, longest = 5000 } = {}) {
  for (let pause = first; !(await ask()); pause = Math.min(pause * 1.3, longest)) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (document.hidden) {
      await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
    }
  }
}

/** The page of an upload that is not published. */
export const pageOf = (upload) => `/dashboard/data-upload?uuid=${upload.id}`;

/** The page on which to send a file again that was published before, with all that was said of it. */
export const againPage = (upload) => `/auth/upload-dataset?again=${upload.id}`;

/** What there is to say of a file that was published before. */
export const BEFORE = "You have published this very file under this name before, so nothing was sent to OpenML. You can publish it once more: the dataset then gets a new version.";

/** Publish once more what was published before; where its bytes are gone, lead to where they are sent again. */
export async function publishAgain(upload) {
  try {
    return await call("POST", `/uploads/${upload.id}/retry`, { allow_duplicate: true });
  } catch (problem) {
    if (problem.kind !== "upload-state") throw problem;
    top.location.assign(againPage(upload));
    return null;
  }
}
