import { ConfigError } from '../core/errors.js';
import { kindOf } from '../core/options.js';
import type { Source } from '../core/source.js';
import { sourceOf } from './auth.js';

/** The sources behind one `Auth` or a list of them. */
export function readSources(factory: string, option: string, value: unknown): readonly Source[] {
  return (Array.isArray(value) ? value : [value]).map(auth => {
    const source = sourceOf(auth);
    if (source === undefined)
      throw new ConfigError(
        factory,
        option,
        `must be an Auth or a list of them, got ${kindOf(auth)}`,
        'Pass what a factory of this package returned; an MCP SDK verifier goes through customVerifier({ verify }).',
      );
    return source;
  });
}
