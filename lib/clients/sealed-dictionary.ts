/**
 * What the metadata of the known clients is made of, most frequent last: a preset dictionary for deflate, which makes
 * a registration of four redirect URIs a few dozen bytes. Frozen: a changed text needs a new version beside this one,
 * or every client id issued with it is lost.
 */
const FIRST = [
  'https://api.v0.dev/v1/mcp-servers/oauth/callback',
  'https://api.devin.ai/mcp/oauth/callback',
  'https://callback.mistral.ai/v1/integrations_auth/oauth2_callback',
  'https://enterprise.perplexity.ai/rest/connections/oauth_callback',
  'https://www.perplexity.ai/rest/connections/oauth_callback',
  'https://console.x.ai/connectors-oauth-exchange-code/',
  'Grok\n\nhttps://grok.com/connectors-oauth-exchange-code/',
  'https://global.consent.azure-apim.net/redirect/',
  'https://raycast.com/redirect?packageName=Extension',
  'raycast://oauth?package_name=Extension',
  'com.raycast:/oauth?package_name=Extension',
  'https://antigravity.google/oauth-callback',
  'https://platform.openai.com/apps-manage/oauth',
  'OpenCode\nhttps://opencode.ai\nhttp://127.0.0.1:19876/mcp/oauth/callback',
  'Kiro\n\nhttp://localhost:7778/oauth/callback',
  'Zed\n\nhttp://127.0.0.1:',
  'Goose\n\nhttp://127.0.0.1:8000/oauth_callback',
  'Warp\n\nwarp://mcp/oauth2callback',
  'GitHub Copilot\n\nhttp://127.0.0.1:33428/callback\nhttp://127.0.0.1/callback',
  'Windsurf\nhttps://windsurf.ai\nhttp://127.0.0.1:8765/auth/callback',
  'MCP CLI Proxy\nhttps://github.com/modelcontextprotocol/mcp-cli\nhttp://localhost:3334/oauth/callback',
  'Gemini CLI MCP Client\n\nhttp://localhost:7777/oauth/callback',
  'MCP Inspector\nhttps://github.com/modelcontextprotocol/inspector\n',
  'http://localhost:6274/oauth/callback\nhttp://localhost:6274/oauth/callback/debug',
  'Visual Studio Code - Insiders\nhttps://code.visualstudio.com\n',
  'https://insiders.vscode.dev/redirect\nhttps://vscode.dev/redirect\n',
  'http://localhost\nhttp://127.0.0.1\nhttp://localhost:33418\nhttp://127.0.0.1:33418',
  'Visual Studio Code\nhttps://code.visualstudio.com\n',
  'https://insiders.vscode.dev/redirect\nhttps://vscode.dev/redirect\nhttp://127.0.0.1/\nhttp://127.0.0.1:33418/',
  'Cursor\n\ncursor://anysphere.cursor-mcp/oauth/callback\n',
  'https://www.cursor.com/agents/mcp/oauth/callback\nhttp://localhost:8787/callback',
  'Codex\n\nhttp://127.0.0.1:',
  'ChatGPT\n\nhttps://chatgpt.com/connector_platform_oauth_redirect',
  'ChatGPT\n\nhttps://chatgpt.com/connector/oauth/',
  'Claude Code (\n\nhttp://localhost:',
  '/callback',
  'Claude\n\nhttps://claude.com/api/mcp/auth_callback',
  'Claude\nhttps://claude.ai\nhttps://claude.ai/api/mcp/auth_callback',
].join('\n');

/** By the version byte in front of a client id. */
export const dictionaries: ReadonlyMap<number, Buffer> = new Map([[1, Buffer.from(FIRST)]]);
export const CURRENT_DICTIONARY = 1;
