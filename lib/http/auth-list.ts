import { ConfigError } from '../core/errors.js';
import { kindOf } from '../core/options.js';
import type { Source } from '../core/source.js';
import { internalsOf } from './internals.js';

/** The sources behind one `Auth` or a list of them, which become part of a composition by this. */
export function readSources(factory: string, option: string, value: unknown): readonly Source[] {
  return (Array.isArray(value) ? value : [value]).map(auth => {
    const internals = internalsOf(auth);
    if (internals === undefined)
      throw new ConfigError(
        factory,
        option,
        `must be an Auth or a list of them, got ${kindOf(auth)}`,
        'Pass what a factory of this package returned; an MCP SDK verifier goes through customVerifier({ verify }).',
      );
    internals.absorb();
    return internals.source;
  });
}
