// A person's picture, or their initials.

import { make } from "./dom.js";

export function showFace(place, profile) {
  const initials = [profile.first_name, profile.last_name].map((name) => [...name][0] ?? "").join("");
  place.replaceChildren(initials.toUpperCase());
  // Pictures of other hosts stay out: the page's policy loads nothing from elsewhere.
  if (!profile.image.startsWith("/")) return;
  const image = make("img", { class: "face", src: profile.image, alt: "", width: 72, height: 72 });
  image.addEventListener("load", () => place.replaceChildren(image));
}
