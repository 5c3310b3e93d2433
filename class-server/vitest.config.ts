import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: { include: ['test/*.test.ts'], testTimeout: 60_000 },
  plugins: [
    cloudflareTest({
      wrangler: { configPath: './wrangler.jsonc' },
      miniflare: {
        bindings: {
          CLOUDFLARE_ACCOUNT_ID: '0123456789abcdef0123456789abcdef',
          CLOUDFLARE_API_TOKEN: 'account-token',
          // Of the key in test/helpers.ts.
          ADMIN_KEY_HASH:
            '69a5265506c94c77b787a7d7377b7685a0eff82e33920a71e7ee22cd6154953e',
          ALLOWED_ORIGINS: 'https://lab.example, https://notebook.example'
        }
      }
    })
  ]
});
