"""The few pages that are ours: the start page, the page of a confirmation link, the API pages."""
