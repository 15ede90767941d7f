// Forms: what is wrong is said at its field, the first such field gets the focus, and nothing is sent twice.

import { make } from "./dom.js";
import { inWords } from "./failures.js";

/** Call `submit(values, form)` for each good submission. Problems it throws are shown. */
export function onSubmit(form, submit) {
  const button = form.querySelector("button:not([type=button])");
  form.noValidate = true; // We say it ourselves, at the field.
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.getAttribute("aria-busy") === "true") return;
    clear(form);
    const invalid = [...form.elements].filter((field) => field.willValidate && !field.checkValidity());
    if (invalid.length) {
      showFields(form, invalid.map((field) => ({ field: field.name, message: field.validationMessage })));
      return;
    }
    button.setAttribute("aria-busy", "true");
    try {
      await submit(Object.fromEntries(new FormData(form)), form);
    } catch (problem) {
      show(form, problem);
    } finally {
      button.removeAttribute("aria-busy");
    }
  });
  button.disabled = false; // Only now would a click do what it says.
}

/** Show what went wrong: at the fields it names, the rest above the button. */
export function show(form, problem) {
  if (problem.kind === "unauthorized") return; // On the way to the sign-in page.
  const fields = problem.fields ?? [];
  const homeless = showFields(form, fields);
  if (homeless.length) say(form, "bad", homeless.map(({ field, message }) => `${field}: ${message}`).join(" "));
  else if (!fields.length) say(form, "bad", inWords(problem));
}

/** Say something in the form's own message, which screen readers announce. */
export function say(form, kind, ...content) {
  const note = form.querySelector("[data-note]");
  note.className = `note ${kind}`;
  note.replaceChildren(...content);
}

export function clear(form) {
  say(form, "");
  for (const error of form.querySelectorAll(".error")) {
    const field = form.elements.namedItem(error.dataset.field);
    const described = (field.getAttribute("aria-describedby") ?? "").split(" ");
    const left = described.filter((id) => id !== error.id).join(" ");
    if (left) field.setAttribute("aria-describedby", left);
    else field.removeAttribute("aria-describedby");
    field.removeAttribute("aria-invalid");
    error.remove();
  }
}

/** Whether it is what an authenticator app shows; else it is a recovery code. */
export const isCode = (text) => /^\s*[0-9]{3} ?[0-9]{3}\s*$/.test(text);

/** Let a box show and hide a password. */
export function passwordSwitch(form) {
  const box = form.querySelector("[data-shows]");
  const turn = () => {
    form.elements.namedItem(box.dataset.shows).type = box.checked ? "text" : "password";
  };
  box.addEventListener("change", turn);
  turn(); // The browser may have kept the mark.
}

function showFields(form, errors) {
  let first = null;
  const homeless = [];
  for (const error of errors) {
    // Part of a list ("creator.0") belongs to the list's field.
    const field = form.elements.namedItem(error.field) ?? form.elements.namedItem(String(error.field).split(".")[0]);
    if (!field?.id) {
      homeless.push(error);
      continue;
    }
    if (field.getAttribute("aria-invalid")) continue; // One at a time.
    const id = `${field.id}-error`;
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", [id, field.getAttribute("aria-describedby")].filter(Boolean).join(" "));
    field.closest(".field").append(make("p", { class: "error", id, "data-field": field.name }, error.message));
    field.closest("details")?.setAttribute("open", "");
    first ??= field;
  }
  first?.focus();
  return homeless;
}
