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
          ADMIN_KEY: 'admin-key',
          ALLOWED_ORIGINS: 'https://lab.example, https://notebook.example'
        }
      }
    })
  ]
});
