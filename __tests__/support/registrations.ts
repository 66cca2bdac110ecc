/**
 * What well-known MCP clients post to a registration endpoint, as recorded from them or as their source writes it.
 * Where a client asks for the scopes that a server offers, `scope` holds those of the tests.
 */
export const registrations = {
  // Recorded from Cursor 3.2; older versions send the first URI alone, with a logo.
  cursor: {
    redirect_uris: [
      'cursor://anysphere.cursor-mcp/oauth/callback',
      'https://www.cursor.com/agents/mcp/oauth/callback',
      'http://localhost:8787/callback',
    ],
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    client_name: 'Cursor',
  },
  cursorWithLogo: {
    redirect_uris: ['cursor://anysphere.cursor-mcp/oauth/callback'],
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    client_name: 'Cursor',
    logo_uri: 'https://ptht05hbb1ssoooe.public.blob.vercel-storage.com/assets/uploads/cursorlogomcpv3.svg',
  },
  // microsoft/vscode src/vs/base/common/oauth.ts, where the server does not publish its grant types.
  vscode: {
    client_name: 'Visual Studio Code',
    client_uri: 'https://code.visualstudio.com',
    grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
    response_types: ['code'],
    redirect_uris: [
      'https://insiders.vscode.dev/redirect',
      'https://vscode.dev/redirect',
      'http://127.0.0.1/',
      'http://127.0.0.1:33418/',
    ],
    scope: 'read write',
    token_endpoint_auth_method: 'none',
    application_type: 'native',
  },
  // The same file, some months earlier.
  vscodeBefore: {
    client_name: 'Visual Studio Code - Insiders',
    client_uri: 'https://code.visualstudio.com',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: [
      'https://insiders.vscode.dev/redirect',
      'https://vscode.dev/redirect',
      'http://localhost',
      'http://127.0.0.1',
      'http://localhost:33418',
      'http://127.0.0.1:33418',
    ],
    token_endpoint_auth_method: 'none',
    application_type: 'native',
  },
  // anthropics/claude-ai-mcp#1043; with the grant types of its metadata document.
  claude: {
    client_name: 'Claude',
    client_uri: 'https://claude.ai',
    redirect_uris: ['https://claude.ai/api/mcp/auth_callback'],
    grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:jwt-bearer'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_post',
    scope: 'claudeai',
  },
  // anthropics/claude-code#2527: the name of the server in parentheses, a port of the moment.
  claudeCode: {
    client_name: 'Claude Code (documentation-search)',
    redirect_uris: ['http://localhost:64236/callback'],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  },
  // Recorded; the last segment is an id of the connector.
  chatgpt: {
    client_name: 'ChatGPT',
    redirect_uris: ['https://chatgpt.com/connector/oauth/ig2N09X8ZQ6D'],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  },
  chatgptStable: {
    client_name: 'ChatGPT',
    redirect_uris: ['https://chatgpt.com/connector_platform_oauth_redirect'],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_basic',
  },
  // Recorded; newer versions add an id of the server to the path.
  codex: {
    client_name: 'Codex',
    redirect_uris: ['http://127.0.0.1:57463/callback/6MFBM1In3Ey-'],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none',
    response_types: ['code'],
  },
  // google-gemini/gemini-cli packages/core/src/mcp/oauth-provider.ts, and as recorded.
  geminiCli: {
    client_name: 'Gemini CLI MCP Client',
    redirect_uris: ['http://localhost:7777/oauth/callback'],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    scope: 'read write offline_access',
  },
  // modelcontextprotocol/inspector client/src/lib/auth.ts.
  inspector: {
    redirect_uris: ['http://localhost:6274/oauth/callback', 'http://localhost:6274/oauth/callback/debug'],
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    client_name: 'MCP Inspector',
    client_uri: 'https://github.com/modelcontextprotocol/inspector',
    scope: '',
  },
  // Recorded.
  windsurf: {
    client_name: 'Windsurf',
    client_uri: 'https://windsurf.ai',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: ['http://127.0.0.1:8765/auth/callback'],
    response_types: ['code'],
    scope: 'read write admin offline_access',
    token_endpoint_auth_method: 'none',
  },
  // As erp-mafia/accounted#2158 saw it.
  grok: {
    client_name: 'Grok',
    redirect_uris: ['https://grok.com/connectors-oauth-exchange-code/'],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  },
} as const;

export type RegistrationName = keyof typeof registrations;
