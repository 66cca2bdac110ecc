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
    const found = answer(text);
    if (answers.size >= MAX_ANSWERS) answers.clear();
    // A copy: V8 keeps the whole token in memory for the sake of a part of it.
    answers.set(Buffer.from(text, 'utf16le').toString('utf16le'), found);
    return found;
  };
}
