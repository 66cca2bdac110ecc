/**
 * The redirect URIs of well-known MCP clients, each exact, each with where it comes from. Only what a vendor documents,
 * publishes or sends belongs here. A client with a URI of its own per user, tenant or server (Copilot Studio, Cline,
 * ChatGPT connectors without RFC 9207) has no entry; the port of a loopback URI varies (RFC 8252 section 7.3).
 */
const REDIRECT_URIS: Readonly<Record<string, readonly string[]>> = {
  // support.anthropic.com, "Building Custom Connectors via Remote MCP Servers".
  Claude: ['https://claude.ai/api/mcp/auth_callback', 'https://claude.com/api/mcp/auth_callback'],
  // Its metadata document, claude.ai/oauth/claude-code-client-metadata.
  'Claude Code': ['http://localhost/callback', 'http://127.0.0.1/callback'],
  // developers.openai.com/plugins/build/auth: where responses carry `iss`, and for the review of apps.
  ChatGPT: ['https://chatgpt.com/connector_platform_oauth_redirect', 'https://platform.openai.com/apps-manage/oauth'],
  // A registration as recorded; openai/codex#30460.
  Codex: ['http://127.0.0.1/callback'],
  // cursor.com/docs/mcp, and one registration as recorded, which holds all three.
  Cursor: [
    'cursor://anysphere.cursor-mcp/oauth/callback',
    'https://www.cursor.com/agents/mcp/oauth/callback',
    'http://localhost:8787/callback',
  ],
  // microsoft/vscode src/vs/base/common/oauth.ts: the four of today, then those of versions before.
  'Visual Studio Code': [
    'https://vscode.dev/redirect',
    'https://insiders.vscode.dev/redirect',
    'http://127.0.0.1/',
    'http://127.0.0.1:33418/',
    'http://localhost',
    'http://127.0.0.1',
    'http://localhost:33418',
    'http://127.0.0.1:33418',
  ],
  // microsoft/copilot-intellij-feedback#2041.
  'GitHub Copilot for JetBrains': ['http://127.0.0.1:33428/callback'],
  // A registration as recorded.
  Windsurf: ['http://127.0.0.1:8765/auth/callback'],
  // google-gemini/gemini-cli packages/core/src/mcp/oauth-provider.ts.
  'Gemini CLI': ['http://localhost:7777/oauth/callback'],
  // antigravity.google/docs/mcp.
  Antigravity: ['https://antigravity.google/oauth-callback'],
  // modelcontextprotocol/inspector client/src/lib/auth.ts, at its default address.
  'MCP Inspector': ['http://localhost:6274/oauth/callback', 'http://localhost:6274/oauth/callback/debug'],
  // aaif-goose/goose#9209.
  Goose: ['http://127.0.0.1/oauth_callback'],
  // developers.raycast.com/utilities/oauth: its three redirect methods.
  Raycast: [
    'https://raycast.com/redirect?packageName=Extension',
    'raycast://oauth?package_name=Extension',
    'com.raycast:/oauth?package_name=Extension',
  ],
  // zed-industries/zed crates/context_server/src/oauth.rs.
  Zed: ['http://127.0.0.1/callback'],
  // warpdotdev/warp#9088, and the receiver of its command line.
  Warp: ['warp://mcp/oauth2callback', 'http://127.0.0.1/mcp/oauth2callback'],
  // opencode.ai/config.json, `oauth.redirectUri` of remote MCP servers.
  OpenCode: ['http://127.0.0.1:19876/mcp/oauth/callback'],
  // kiro.dev, redirect URI formats of its MCP configuration.
  Kiro: ['http://localhost/oauth/callback', 'http://127.0.0.1/oauth/callback'],
  // Its metadata document, grok.com/oauth/mcp-client.json.
  Grok: ['https://grok.com/connectors-oauth-exchange-code/', 'https://console.x.ai/connectors-oauth-exchange-code/'],
  // The help center of Perplexity, and registrations as recorded.
  Perplexity: [
    'https://www.perplexity.ai/rest/connections/oauth_callback',
    'https://enterprise.perplexity.ai/rest/connections/oauth_callback',
  ],
  // aws-samples/mistral-on-aws, and registrations as recorded by others; the vendor documents none.
  'Le Chat': ['https://callback.mistral.ai/v1/integrations_auth/oauth2_callback'],
  // docs.devin.ai, custom MCP servers.
  Devin: ['https://api.devin.ai/mcp/oauth/callback'],
  // v0.app/docs/api/platform/guides/oauth-mcp-servers.
  v0: ['https://api.v0.dev/v1/mcp-servers/oauth/callback'],
};

/** Every redirect URI on the list, loopback ones as their vendors write them. */
export const knownRedirectUris: readonly string[] = Object.freeze([...new Set(Object.values(REDIRECT_URIS).flat())]);

const known = new Set(knownRedirectUris);

/** Whether this is, byte for byte, a redirect URI of a well-known MCP client. */
export function isKnownRedirect(uri: string): boolean {
  return known.has(uri);
}
