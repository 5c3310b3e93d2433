"""Where a call goes: to Cloudflare, or to another server."""
