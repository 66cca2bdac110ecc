export { type PassportVerifierOptions, passportVerifier, type TokenStrategy } from './source.js';
export { type McpStrategy, mcpStrategy } from './strategy.js';
