/** The `code` of every warning; all have the type `ExpressMcpAuthWarning`. */
export type WarningCode =
  | 'MCP_AUTH_UNGUARDED'
  | 'MCP_AUTH_ROUTE'
  | 'MCP_AUTH_MOUNT'
  | 'MCP_AUTH_SHORT_KEY'
  | 'MCP_AUTH_MEMORY_STORE'
  | 'MCP_AUTH_DERIVED_SECRETS'
  | 'MCP_AUTH_LOCAL_RATE_LIMIT';

/** Warns through `process.emitWarning`, each code once. Nothing else is ever printed. */
export function warnings(): (code: WarningCode, text: () => string) => void {
  const seen = new Set<WarningCode>();
  return (code, text) => {
    if (seen.has(code)) return;
    seen.add(code);
    process.emitWarning(text(), { type: 'ExpressMcpAuthWarning', code });
  };
}
