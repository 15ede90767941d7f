import { call } from "./api.js";
import { byId } from "./dom.js";
import { showFace } from "./face.js";
import { load } from "./failures.js";
import { onSubmit, say } from "./form.js";
import { askToSignIn, keepDraft, takeDraft, token } from "./session.js";

const TEXTS = ["first_name", "last_name", "email", "bio"];
const form = byId("profile");
const file = byId("file");
const removal = byId("no_picture");
let profile;

if (token()) load(start);
else askToSignIn();

async function start() {
  profile = await call("GET", "/profile");
  const draft = takeDraft("profile");
  for (const name of TEXTS) {
    const field = byId(name);
    // What an old account does not have, it need not be given here.
    if (!profile[name]) field.required = false;
    field.value = draft?.[name] ?? profile[name];
  }
  showPicture();
  onSubmit(form, save);
  if (draft) say(form, "", "Your session had ended. Here is what you had typed.");
}

/** Save the texts, then the picture: each is kept though the other is refused. */
async function save(values) {
  const texts = Object.fromEntries(TEXTS.map((name) => [name, values[name]]));
  try {
    await call("POST", "/profile", texts);
    await savePicture(values.file);
  } catch (problem) {
    if (problem.kind === "unauthorized") keepDraft("profile", texts);
    throw problem;
  }
  const moved = spelled(texts.email) !== spelled(profile.email);
  say(form, "good", moved ? `Saved. Your address changes when you open the link in the mail to ${texts.email.trim()}.` : "Saved.");
}

/** An address as mail servers spell it: of an international one there are two spellings. */
function spelled(address) {
  const [name, host] = address.trim().toLowerCase().split(/@(?=[^@]*$)/);
  const known = URL.parse?.(`http://${host}`);
  return known ? `${name}@${known.hostname}` : `${name}@${host}`;
}

async function savePicture(chosen) {
  if (!chosen.size && !removal.checked) return;
  try {
    if (chosen.size) {
      const parts = new FormData();
      parts.append("file", chosen);
      await call("POST", "/image", parts);
    } else {
      await call("DELETE", "/image");
    }
  } catch (problem) {
    if (problem.kind !== "unauthorized") problem.fields = [{ field: "file", message: `${problem.message} Everything else is saved.` }];
    throw problem;
  }
  file.value = "";
  removal.checked = false;
  profile.image = (await call("GET", "/profile")).image;
  showPicture();
}

function showPicture() {
  showFace(byId("face"), profile);
  byId("removal").hidden = !profile.image;
}

// One or the other.
file.addEventListener("change", () => {
  if (file.files.length) removal.checked = false;
});
removal.addEventListener("change", () => {
  if (removal.checked) file.value = "";
});
