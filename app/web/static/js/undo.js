import { call } from "./api.js";
import { byId, moveTo } from "./dom.js";
import { onSubmit } from "./form.js";
import { signOut } from "./session.js";

const form = byId("undo");

onSubmit(form, async () => {
  let shown = "undone";
  try {
    await call("POST", "/undo", { url: location.href });
    signOut(); // Its sessions have ended, those of this browser included.
  } catch (problem) {
    if (problem.kind !== "link-not-valid") throw problem;
    shown = "dead-link";
  }
  form.hidden = true;
  moveTo(byId(shown));
});
