import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';

/** The MCP server behind every example. A new one is made for each request, so callers share nothing. */
export const mcpHandler = toNodeHandler(
  createMcpHandler(() => {
    const server = new McpServer({ name: 'example', version: '1.0.0' });
    server.registerTool('whoami', { description: 'Says how the server recognised you' }, context => {
      const { clientId, scopes, extra = {} } = context.http?.authInfo ?? {};
      const caller = { source: extra.source, clientId, subject: extra.subject, scopes };
      return { content: [{ type: 'text', text: JSON.stringify(caller) }] };
    });
    return server;
  }),
);
