declare namespace Cloudflare {
  // An interface can only extend a type that is declared by name.
  type ServerEnv = import('../src/env').Env;
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type
  interface Env extends ServerEnv {}
  interface GlobalProps {
    mainModule: typeof import('../src/index');
  }
}
