"""The search server as the SPA sees it, on this host (`/es/`)."""
