// Its published types bring in those of Koa; this is all that is used here.
declare module 'passport-http-bearer' {
  export class Strategy {
    constructor(verify: (token: string, done: (error: unknown, user: unknown) => void) => void);
    name: string;
    authenticate(req: unknown, options?: unknown): void;
  }
}
