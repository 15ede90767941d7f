"""OpenML's REST API v1 as we see it. `client` alone reads its answers; `xml` and `multipart` are pure."""
