// oidc-provider, certified by the OpenID Foundation: one client, PKCE required, whoever signs in is who they say.

import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const [port, redirect] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [{ client_id: "openml", client_secret: "a secret of the client", redirect_uris: [redirect] }],
  pkce: { required: () => true },
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "given_name", "family_name"] },
  findAccount: (context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.org`, email_verified: true, given_name: "Ada", family_name: "Lovelace" }),
  }),
  features: { devInteractions: { enabled: true } },
});
createServer(provider.callback()).listen(Number(port), "127.0.0.1");
