import { ConfigError } from './errors.js';

/** Options that open a door when they are empty by accident: present but `undefined` is an error for them. */
const NEVER_UNDEFINED = new Set(['secret', 'publicKey', 'jwks', 'clientSecret', 'client_secret', 'secrets']);

export interface NumberRule {
  readonly min: number;
  readonly max?: number;
  readonly fallback: number;
}

/** The options of one factory call, each read once and checked; every wrong one is a {@link ConfigError}. */
export class Options {
  readonly #factory: string;
  readonly #prefix: string;
  readonly #given: Readonly<Record<string, unknown>>;

  /**
   * @param known every option there is: any other key is refused with the nearest of these
   * @param prefix the option that holds these options, for nested ones
   */
  constructor(factory: string, given: unknown, known: readonly string[], prefix = '') {
    this.#factory = factory;
    this.#prefix = prefix;
    if (given === undefined || given === null || typeof given !== 'object' || Array.isArray(given))
      throw new ConfigError(factory, prefix || 'options', `must be an object, got ${kindOf(given)}`, usage(known));
    this.#given = given as Record<string, unknown>;
    for (const key of Object.keys(given)) {
      if (!known.includes(key)) this.#refuse(key, known);
      if (this.#given[key] === undefined && NEVER_UNDEFINED.has(key))
        this.fail(
          key,
          'is undefined',
          'Leave the option out, or check that the environment variable behind it is set.',
        );
    }
  }

  // A table of tokens in the place of options has secrets for keys.
  #refuse(key: string, known: readonly string[]): never {
    const { word, distance } = nearest(key, known);
    if (/^[A-Za-z]{1,40}$/.test(key) || (distance <= 3 && distance < key.length))
      this.fail(key, 'is not an option', `Did you mean "${word}"? ${usage(known)}`);
    throw new ConfigError(
      this.#factory,
      this.#prefix || 'options',
      `has a key of ${key.length} characters that is not an option and may be a secret, so it is not shown`,
      `${usage(known)} Tokens belong in staticTokenVerifier({ [token]: { clientId } }).`,
    );
  }

  fail(option: string, reason: string, remedy: string): never {
    throw new ConfigError(this.#factory, this.#prefix ? `${this.#prefix}.${option}` : option, reason, remedy);
  }

  has(option: string): boolean {
    return this.#given[option] !== undefined;
  }

  raw(option: string): unknown {
    return this.#given[option];
  }

  string(option: string): string | undefined {
    const value = this.#given[option];
    if (value === undefined) return undefined;
    if (typeof value !== 'string' || value.trim() === '')
      this.fail(option, `must be a string that is not empty, got ${kindOf(value)}`, 'Give the text itself.');
    return value;
  }

  boolean(option: string): boolean | undefined {
    const value = this.#given[option];
    if (value !== undefined && typeof value !== 'boolean')
      this.fail(option, `must be true or false, got ${kindOf(value)}`, 'Give a boolean.');
    return value;
  }

  /** One of a few values. */
  oneOf<const Value extends string | number | boolean>(option: string, values: readonly Value[]): Value | undefined {
    const value = this.#given[option];
    if (value !== undefined && !values.includes(value as Value)) {
      const isShort = typeof value === 'number' || (typeof value === 'string' && /^[\w-]{1,40}$/.test(value));
      const came = isShort ? value : kindOf(value);
      this.fail(option, `must be one of ${values.join(', ')}, got ${came}`, 'Leave it out for the default.');
    }
    return value as Value | undefined;
  }

  number(option: string, rule: NumberRule): number {
    const value = this.#given[option];
    if (value === undefined) return rule.fallback;
    const max = rule.max ?? Number.MAX_SAFE_INTEGER;
    if (typeof value !== 'number' || !(value >= rule.min && value <= max))
      this.fail(
        option,
        `must be a number of at least ${rule.min}${rule.max === undefined ? '' : ` and at most ${max}`}, got ${typeof value === 'number' ? value : kindOf(value)}`,
        `Leave it out for the default of ${rule.fallback}.`,
      );
    return value;
  }

  // biome-ignore lint/suspicious/noExplicitAny: the caller names the signature, only "callable" can be checked here
  function<F extends (...args: any[]) => any>(option: string): F | undefined {
    const value = this.#given[option];
    if (value !== undefined && typeof value !== 'function')
      this.fail(option, `must be a function, got ${kindOf(value)}`, 'Give a function.');
    return value as F | undefined;
  }

  /** A list of strings, none of them empty. The empty list is a value. */
  list(option: string): readonly string[] | undefined {
    const value = this.#given[option];
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) this.fail(option, `must be a list of strings, got ${kindOf(value)}`, 'Put it in [ ].');
    for (const member of value)
      if (typeof member !== 'string' || member.trim() === '')
        this.fail(
          option,
          `must hold strings that are not empty, got ${kindOf(member)}`,
          'Remove or replace that member.',
        );
    return Object.freeze([...(value as string[])]);
  }

  /** One string or a list of at least one. */
  oneOrMore(option: string): readonly string[] | undefined {
    const value = this.#given[option];
    const list = typeof value === 'string' ? [this.string(option) as string] : this.list(option);
    if (list?.length === 0) this.fail(option, 'is an empty list', 'Name at least one, or leave the option out.');
    return list;
  }

  /** Options inside an option. */
  nested(option: string, known: readonly string[]): Options {
    const value = this.#given[option];
    return new Options(
      this.#factory,
      value === undefined ? {} : value,
      known,
      this.#prefix ? `${this.#prefix}.${option}` : option,
    );
  }
}

/** What came, in words that never hold a value: it may be a secret. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'undefined';
  if (typeof value === 'string') return value.trim() === '' ? 'an empty string' : 'a string';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (Number.isNaN(value)) return 'NaN';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function usage(known: readonly string[]): string {
  return `The options are ${known.join(', ')}.`;
}

function nearest(key: string, known: readonly string[]): { word: string; distance: number } {
  let best = { word: '', distance: Number.POSITIVE_INFINITY };
  // No option is nearly as long as 64 characters.
  if (key.length > 64) return best;
  for (const word of known) {
    const distance = editDistance(key.toLowerCase(), word.toLowerCase());
    if (distance < best.distance) best = { word, distance };
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next[j] = Math.min(substitution, (row[j] as number) + 1, (next[j - 1] as number) + 1);
    }
    row = next;
  }
  return row[b.length] as number;
}
