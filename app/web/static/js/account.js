import { call } from "./api.js";
import { confirmed } from "./confirm.js";
import { byId, make, moment } from "./dom.js";
import { showFace } from "./face.js";
import { attempt, complain, load } from "./failures.js";
import { onSubmit, say } from "./form.js";
import { askToSignIn, forget, token } from "./session.js";

const EVENTS_SHOWN = 20;

/** What goes wrong with a button is said below the row it stands in. */
const attemptAt = (button, work) => attempt(button.closest(".actions"), work);

if (token()) load(start);
else askToSignIn();

async function start() {
  const profile = await call("GET", "/profile");
  byId("loading").hidden = true;
  byId("account").hidden = false;
  byId("name").textContent = `${profile.first_name} ${profile.last_name}`.trim() || profile.username;
  byId("email").textContent = profile.email;
  byId("bio").textContent = profile.bio;
  showFace(byId("face"), profile);
  for (const [part, show] of [["sessions", showSessions], ["events", showEvents]]) show().catch((problem) => complain(byId(`${part}-title`), problem));
}

// --- API key

let key = null; // What the service answered, once somebody has asked for it.

/** The key is fetched when it is wanted: the service wants to know who is there, and a page that nobody uses need not have it. */
async function fetchKey() {
  key ??= (await confirmed("GET", "/api-key")).apikey ?? "none yet";
  byId("key").textContent = key;
}

function setShown(shown) {
  byId("key").hidden = !shown;
  byId("show-key").textContent = shown ? "Hide the key" : "Show the key";
  byId("show-key").setAttribute("aria-expanded", String(shown));
}

byId("show-key").addEventListener("click", () =>
  attemptAt(byId("show-key"), async () => {
    await fetchKey();
    setShown(byId("key").hidden);
  }),
);
byId("copy-key").addEventListener("click", () =>
  attemptAt(byId("copy-key"), async () => {
    await fetchKey();
    try {
      await navigator.clipboard.writeText(key);
      byId("key-status").textContent = "Copied.";
    } catch {
      setShown(true);
      byId("key-status").textContent = "Your browser does not let us copy; here it is to be marked.";
    }
  }),
);
byId("renew-key").addEventListener("click", () => byId("renew-dialog").showModal());
onSubmit(byId("renew-form"), async () => {
  const { apikey } = await confirmed("POST", "/api-key", {});
  byId("renew-dialog").close();
  key = apikey;
  byId("key").textContent = key;
  byId("key-status").textContent = "You have a new key. The old one works no more.";
});

// --- sessions and events

async function showSessions() {
  const { sessions } = await call("GET", "/sessions");
  byId("sessions").replaceChildren(...sessions.map(sessionRow));
}

function sessionRow(session) {
  const name = device(session.user_agent);
  const end = make("button", { type: "button", "aria-label": `End the session: ${name}, ${session.ip_address}` }, "End");
  const row = make(
    "li",
    {},
    make(
      "div",
      {},
      make("p", {}, name, session.current ? make("span", { class: "badge good" }, "this one") : ""),
      make("p", { class: "soft small" }, `${session.ip_address} · since `, moment(session.created_at), " · last seen ", moment(session.last_seen_at)),
    ),
    session.current ? "" : end,
  );
  end.addEventListener("click", () =>
    attempt(row.firstChild, async () => {
      await call("DELETE", `/sessions/${encodeURIComponent(session.id)}`);
      row.remove();
      byId("sessions-status").textContent = "The session is ended.";
      byId("sessions-title").focus();
    }),
  );
  return row;
}

byId("end-all").addEventListener("click", () =>
  attemptAt(byId("end-all"), async () => {
    await call("DELETE", "/sessions");
    forget();
    location.assign("/auth/sign-in?reason=signed-out");
  }),
);

async function showEvents() {
  const { events } = await call("GET", "/audit");
  byId("events").replaceChildren(
    ...events.slice(0, EVENTS_SHOWN).map((event) =>
      make("li", {}, make("p", {}, event.kind[0].toUpperCase() + event.kind.slice(1)), make("p", { class: "soft small" }, moment(event.at), ...[event.ip_address, event.detail].filter(Boolean).map((fact) => ` · ${fact}`))),
    ),
  );
}

/** A browser's name for people, made of what it calls itself. */
function device(agent) {
  const browser = ["Edg", "OPR", "Firefox", "Chrome", "Safari"].find((name) => agent.includes(`${name}/`));
  const system = ["Android", "iPhone", "iPad", "Windows", "Mac OS X", "Linux"].find((name) => agent.includes(name));
  const shown = { Edg: "Edge", OPR: "Opera", "Mac OS X": "macOS" };
  const parts = [browser, system].filter(Boolean).map((name) => shown[name] ?? name);
  return parts.length ? `${parts.join(" on ")} ` : `${agent.split(" ")[0] || "Unknown program"} `;
}

// --- data

byId("export").addEventListener("click", () =>
  attemptAt(byId("export"), async () => {
    const data = await confirmed("GET", "/export");
    const address = URL.createObjectURL(new Blob([JSON.stringify(data, null, 2)], { type: "application/json" }));
    make("a", { href: address, download: "openml-account.json" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
    byId("export-status").textContent = "The file is on its way to your downloads.";
  }),
);

byId("delete").addEventListener("click", () =>
  attemptAt(byId("delete"), async () => {
    const { has_password: hasPassword } = await call("GET", "/linked-accounts");
    const field = byId("delete-password");
    field.disabled = !hasPassword; // Then it is not sent.
    field.closest(".field").hidden = !hasPassword;
    byId("delete-dialog").showModal();
  }),
);
onSubmit(byId("delete-form"), async (values, form) => {
  try {
    await confirmed("POST", "/delete", values);
  } catch (problem) {
    if (problem.kind === "wrong-credentials") problem.fields = [{ field: "password", message: problem.message }];
    throw problem;
  }
  say(form, "");
  forget();
  location.assign("/auth/sign-in?reason=deleted");
});
for (const button of document.querySelectorAll("dialog [data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
