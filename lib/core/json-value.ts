/** Whether JSON can say a value: no functions, no instances of classes, no cycles. A member that is `undefined` is absent. */
export function isJsonValue(value: unknown, above: readonly object[] = []): boolean {
  if (value === undefined || value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || above.includes(value)) return false;
  const members: readonly unknown[] = Array.isArray(value) ? value : isPlain(value) ? Object.values(value) : [INVALID];
  const here = [...above, value];
  return members.every(member => isJsonValue(member, here));
}

const INVALID = Symbol('not JSON');

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
