"""Where the bytes of uploads rest between the client and OpenML."""
