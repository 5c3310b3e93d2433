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
  /** Secret: key of the admin routes. */
  ADMIN_KEY: string;
}
