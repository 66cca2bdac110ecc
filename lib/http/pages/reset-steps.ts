/** How the users of a client make it forget this server, so that it registers anew. Backquotes mark what is typed. */
export interface ResetSteps {
  readonly client: string;
  readonly steps: readonly string[];
}

/** The known clients. NAME stands for the name that the server has in the client. */
export const RESET_STEPS: readonly ResetSteps[] = [
  {
    client: 'Claude (web and desktop)',
    steps: ['Open Settings, then Connectors.', 'Remove the connector of this server.', 'Add it again and connect.'],
  },
  {
    client: 'Claude Code',
    steps: [
      'Run `/mcp`, choose this server, then Clear authentication; or run `claude mcp logout NAME` in a terminal.',
      'Run `/mcp` again and authenticate.',
    ],
  },
  {
    client: 'ChatGPT',
    steps: [
      'Open Settings, then Apps & Connectors (Apps or Connectors on some plans).',
      'Delete the entry of this server.',
      'Create it again and connect.',
    ],
  },
  {
    client: 'Cursor',
    steps: [
      'Open the Command Palette and run `Cursor: Clear All MCP Tokens`. It signs you out of every MCP server.',
      'Open Settings, then the MCP tools, and connect again.',
    ],
  },
  {
    client: 'VS Code',
    steps: [
      'Open the Command Palette and run `Authentication: Remove Dynamic Authentication Providers`.',
      'Choose this server and confirm.',
      'Restart the server from the list of MCP servers and sign in.',
    ],
  },
  { client: 'Codex', steps: ['Run `codex mcp logout NAME` in a terminal.', 'Run `codex mcp login NAME`.'] },
  {
    client: 'Gemini CLI',
    steps: [
      'Run `/mcp auth NAME`.',
      'If this page comes back, remove the entry of this server from `~/.gemini/mcp-oauth-tokens.json` and run it again.',
    ],
  },
  {
    client: 'MCP Inspector',
    steps: [
      'Open the settings of this server and choose Clear stored OAuth state (Clear OAuth State in older versions).',
      'Connect again.',
    ],
  },
  {
    client: 'mcp-remote',
    steps: [
      'Run `rm -rf ~/.mcp-auth` in a terminal, or delete that folder. It signs you out of every server behind mcp-remote.',
      'Restart the application that runs mcp-remote.',
    ],
  },
];
