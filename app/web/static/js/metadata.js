// What is said of a dataset: between the fields of a form and the API's JSON.

const LISTS = ["creator", "contributor"];

/** The fields that there are, as the API takes them. */
export function readMetadata(form) {
  const metadata = Object.fromEntries([...new FormData(form)].filter(([, value]) => typeof value === "string"));
  for (const list of LISTS) {
    if (list in metadata) metadata[list] = metadata[list].split(";").map((one) => one.trim()).filter(Boolean);
  }
  for (const box of form.querySelectorAll("[type=checkbox][name]:enabled")) metadata[box.name] = box.checked;
  return metadata;
}

export function fillMetadata(form, metadata) {
  for (const [name, value] of Object.entries(metadata)) {
    const field = form.elements.namedItem(name);
    if (!field) continue;
    if (field.type === "checkbox") field.checked = value;
    else field.value = Array.isArray(value) ? value.join("; ") : (value ?? "");
    if (field.tagName === "SELECT" && value && field.value !== value) {
      field.append(new Option(value)); // A licence of somebody's own.
      field.value = value;
    }
  }
}
