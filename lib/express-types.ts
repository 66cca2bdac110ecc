import type { AuthInfo } from './core/auth-info.js';

// Opt-in: both MCP SDKs declare Request.auth as well, each in its own way, so the main entry declares nothing.
declare global {
  namespace Express {
    interface Request {
      /** Set by the guard of express-mcp-auth; prefer `getAuth(req)`, which throws where none ran. */
      auth?: AuthInfo;
    }
  }
}
