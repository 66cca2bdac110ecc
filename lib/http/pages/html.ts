const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** A piece of HTML that needs no escaping any more. Only the tag below makes one, so a stranger's object never is one. */
export class Markup {
  readonly #text: string;

  private constructor(text: string) {
    this.#text = text;
  }

  static of(strings: TemplateStringsArray, values: readonly Content[]): Markup {
    let text = '';
    for (let index = 0; index < strings.length; index++) text += strings[index] + written(values[index]);
    return new Markup(text);
  }

  toString(): string {
    return this.#text;
  }
}

/** What a template may hold: text, which is escaped, pieces of HTML, and nothing. */
export type Content = Markup | string | number | false | undefined | readonly Content[];

/** Writes HTML: everything between `${}` is escaped, for text and for quoted attributes, unless this tag made it. */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Markup {
  return Markup.of(strings, values);
}

function written(value: Content): string {
  if (value === undefined || value === false) return '';
  if (value instanceof Markup) return value.toString();
  if (Array.isArray(value)) return value.map(written).join('');
  return String(value).replace(/[&<>"']/g, character => ESCAPES[character] as string);
}
