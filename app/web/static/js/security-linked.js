import { call } from "./api.js";
import { confirmed } from "./confirm.js";
import { byId, make, moment } from "./dom.js";
import { attempt } from "./failures.js";
import { leave } from "./providers.js";

export async function start(profile) {
  if (!byId("linked")) return; // This installation has no providers.
  for (const button of document.querySelectorAll("[data-link]")) {
    button.addEventListener("click", () =>
      attempt(button, async () => {
        const path = `/linked-accounts/${button.dataset.link}/start`;
        const { address } = await confirmed("POST", path, undefined, "same-origin");
        leave(address, { links: true });
      }),
    );
  }
  byId("first-password").addEventListener("click", () =>
    attempt(byId("first-password"), async () => {
      await call("POST", "/forgotpassword", { email: profile.email });
      byId("linked-status").textContent = `A mail with a link is on its way to ${profile.email}.`;
    }),
  );
  await show();
}

async function show() {
  const { linked, has_password: hasPassword } = await call("GET", "/linked-accounts");
  byId("no-password").hidden = hasPassword;
  byId("linked").replaceChildren(...linked.map(row));
  if (!linked.length) byId("linked-status").textContent = "None yet.";
}

function row(link) {
  const button = make("button", { type: "button", class: "danger", "aria-label": `Take ${link.name} ${link.label} away` }, "Take it away");
  button.addEventListener("click", () =>
    attempt(button, async () => {
      await confirmed("DELETE", `/linked-accounts/${link.id}`);
      await show();
      byId("linked-status").textContent = `${link.name} ${link.label} opens your account no more.`;
      byId("linked-title").focus();
    }),
  );
  const used = link.last_used_at ? ["used ", moment(link.last_used_at)] : ["never used"];
  const facts = make("span", { class: "soft small" }, "linked ", moment(link.created_at), ", ", ...used);
  return make("li", {}, make("div", {}, make("strong", {}, `${link.name}: ${link.label}`), make("br"), facts), button);
}
