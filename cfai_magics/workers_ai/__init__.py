"""Cloudflare Workers AI over HTTP."""
