const MAX_ANSWERS = 100;
const MAX_LENGTH = 512;

/**
 * Remembers what a pure function made of the last short texts that it was asked about. Strangers may choose them: they
 * can empty the memory, and never fill it.
 */
export function memo<T>(answer: (text: string) => T): (text: string) => T {
  const answers = new Map<string, T>();
  return text => {
    if (text.length > MAX_LENGTH) return answer(text);
    const known = answers.get(text);
    if (known !== undefined || answers.has(text)) return known as T;
    // V8 keeps a whole token, or a whole body, in memory for the sake of a part of it or of a part of that.
    const copy = Buffer.from(text, 'utf16le').toString('utf16le');
    const found = answer(copy);
    if (answers.size >= MAX_ANSWERS) answers.clear();
    answers.set(copy, found);
    return found;
  };
}
