/** Parameters of an OAuth request: an empty value counts as absent, a repeated one as a fault (RFC 6749 section 3.1). */
export class Params {
  readonly #values = new Map<string, string>();
  readonly #repeated = new Set<string>();

  constructor(entries: Iterable<readonly [string, string]>) {
    for (const [name, value] of entries) {
      if (this.#values.has(name)) this.#repeated.add(name);
      else this.#values.set(name, value);
    }
  }

  get(name: string): string | undefined {
    const value = this.#values.get(name);
    return value === '' ? undefined : value;
  }

  isRepeated(name: string): boolean {
    return this.#repeated.has(name);
  }

  /** One of these names that came more than once. */
  repeatedAmong(names: readonly string[]): string | undefined {
    return names.find(name => this.#repeated.has(name));
  }
}
