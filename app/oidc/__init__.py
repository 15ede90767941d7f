"""OpenID Connect as a relying party: discovery, keys, and ID tokens verified; and the calls of OAuth 2.

Knows no account. Log-ins stand on it, and so may whatever else believes what an issuer signs.
"""
