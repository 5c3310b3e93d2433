"""Ask Cloudflare Workers AI from a notebook cell."""
