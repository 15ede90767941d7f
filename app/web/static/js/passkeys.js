// Passkeys: what the browser and the service say to each other. Both speak base64url where the browser's API has bytes.

import { call, Problem } from "./api.js";

const RENEW_MILLISECONDS = 4 * 60 * 1000; // A challenge works for five minutes.
const WORDS = {
  NotAllowedError: "Nothing happened: it was called off, or took too long.",
  InvalidStateError: "This device has a passkey for your account already.",
  SecurityError: "Your browser takes no passkeys at this address.",
  NotSupportedError: "Your browser or device cannot make a passkey of a kind that we take.",
};

/** Whether this browser has passkeys, and this page is at an address where the service takes them. */
export function hasPasskeys() {
  const origins = document.querySelector("[data-passkey-origins]")?.dataset.passkeyOrigins ?? "";
  return "PublicKeyCredential" in window && origins.split(" ").includes(location.origin);
}

/** Have a passkey made; return it as the service reads it. */
export async function make(options) {
  const publicKey = {
    ...options,
    challenge: toBytes(options.challenge),
    user: { ...options.user, id: toBytes(options.user.id) },
    excludeCredentials: options.excludeCredentials.map(withBytes),
  };
  return inJson(await asking(navigator.credentials.create({ publicKey })));
}

/** Have a passkey sign; return what it says as the service reads it. */
export async function use(options, more = {}) {
  const publicKey = { ...options, challenge: toBytes(options.challenge), allowCredentials: options.allowCredentials.map(withBytes) };
  return inJson(await asking(navigator.credentials.get({ publicKey, ...more })));
}

/** Sign in with any passkey that the browser has; return the answer of the service. `stays` says whether to stay so. */
export async function signIn(stays, more) {
  const options = await call("GET", "/auth/passkey/login-options");
  const credential = await use(options, more);
  try {
    return await call("POST", "/auth/passkey/login-verify", { credential, stay: stays() }, {}, "same-origin");
  } catch (problem) {
    // It was removed here, and the browser offers it still.
    if (problem.status === 404) forget(options.rpId, credential.id);
    throw problem;
  }
}

/** Tell the browser that a passkey opens nothing any more, so that it does not offer it. */
export function forget(rpId, credentialId) {
  PublicKeyCredential.signalUnknownCredential?.({ rpId, credentialId }).catch(() => {});
}

/**
 * Let the browser offer passkeys where the name is typed, and call `done(answer)` or `failed(problem)` when one is chosen.
 * Return what ends that, which has to be before the browser is asked for anything else.
 */
export async function offerBesideNames(stays, done, failed) {
  if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return () => {};
  let ended = false;
  let offer = null;
  const begin = async () => {
    const mine = (offer = new AbortController());
    try {
      done(await signIn(stays, { mediation: "conditional", signal: mine.signal }));
    } catch (problem) {
      if (!mine.signal.aborted) failed(problem);
    }
  };
  const renew = () => {
    offer?.abort();
    if (!ended) begin();
  };
  const timer = setInterval(renew, RENEW_MILLISECONDS);
  begin();
  return () => {
    ended = true;
    clearInterval(timer);
    offer.abort();
  };
}

async function asking(promise) {
  try {
    return await promise;
  } catch (error) {
    throw new Problem({ detail: WORDS[error.name] ?? `Your browser says: ${error.message}` });
  }
}

const withBytes = (credential) => ({ ...credential, id: toBytes(credential.id) });

/** PublicKeyCredential.toJSON(), which not all browsers have. */
function inJson({ id, rawId, type, response, authenticatorAttachment }) {
  const json = { id, rawId: toText(rawId), type, authenticatorAttachment, response: { clientDataJSON: toText(response.clientDataJSON) } };
  for (const part of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[part]) json.response[part] = toText(response[part]);
  }
  if (response.getTransports) json.response.transports = response.getTransports();
  return json;
}

function toBytes(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function toText(buffer) {
  const binary = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
