import type { ClassBudget } from './class';

/** The bindings, variables and secrets of the Worker (wrangler.jsonc). */
export interface Env {
  CLASSES: DurableObjectNamespace<ClassBudget>;
  CLASS_NAME: string;
  /** Address of Cloudflare's API. */
  API_BASE: string;
  /** Account whose Workers AI answers. */
  CLOUDFLARE_ACCOUNT_ID: string;
  /** Name of an AI Gateway of the account; empty sends requests directly. */
  GATEWAY: string;
  /** Origins of web pages that may call the server, separated by commas. */
  ALLOWED_ORIGINS: string;
  /** Secret: API token with the permission Workers AI. */
  CLOUDFLARE_API_TOKEN: string;
  /** SHA-256 of the admin key, as 64 hexadecimal digits. The teacher keeps the key. */
  ADMIN_KEY_HASH: string;
}
