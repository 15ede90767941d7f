import { call } from "./api.js";
import { byId, load } from "./dom.js";
import { showFace } from "./face.js";
import { clear, onSubmit, say, show } from "./form.js";
import { askToSignIn, token } from "./session.js";

const profileForm = byId("profile");
const pictureForm = byId("picture");
let profile;

if (token()) load(start);
else askToSignIn();

async function start() {
  profile = await call("GET", "/profile");
  for (const name of ["first_name", "last_name", "email", "bio"]) profileForm.elements[name].value = profile[name];
  showPicture();
  onSubmit(profileForm, saveProfile);
  onSubmit(pictureForm, savePicture);
}

async function saveProfile({ first_name, last_name, email, bio }) {
  await call("POST", "/profile", { first_name, last_name, email, bio });
  const moved = email.trim().toLowerCase() !== profile.email.toLowerCase();
  say(profileForm, "good", moved ? `Saved. Your address changes when you open the link in the mail to ${email.trim()}.` : "Saved.");
}

async function savePicture({ file }) {
  const parts = new FormData();
  parts.append("file", file);
  try {
    await call("POST", "/image", parts);
  } catch (problem) {
    if (!problem.fields.length && problem.kind) problem.fields = [{ field: "file", message: problem.message }];
    throw problem;
  }
  pictureForm.reset();
  profile = await call("GET", "/profile");
  showPicture();
  say(pictureForm, "good", "Your picture is changed.");
}

function showPicture() {
  showFace(byId("face"), profile);
  byId("no-picture").hidden = !profile.image;
}

byId("no-picture").addEventListener("click", async () => {
  clear(pictureForm);
  try {
    await call("DELETE", "/image");
    profile.image = "";
    showPicture();
    pictureForm.elements.file.focus();
    say(pictureForm, "good", "Your picture is removed.");
  } catch (problem) {
    show(pictureForm, problem);
  }
});
