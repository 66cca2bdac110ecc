/** What stands in an {@link ExpiryHeap}, which keeps the two numbers itself. */
export interface HeapItem {
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  position: number;
  order: number;
}

/** Knows at any time what expires soonest; of two that expire together, what was added first. */
export class ExpiryHeap<Item extends HeapItem> {
  readonly #items: Item[] = [];
  #added = 0;

  get soonest(): Item | undefined {
    return this.#items[0];
  }

  /** O(log n). */
  add(item: Item): void {
    item.order = this.#added++;
    this.#rise(item, this.#items.length);
  }

  /** O(log n), for an item that stands in this heap. */
  remove(item: Item): void {
    const last = this.#items.pop() as Item;
    if (last === item) return;
    const parent = this.#items[(item.position - 1) >> 1];
    if (item.position > 0 && isBefore(last, parent as Item)) this.#rise(last, item.position);
    else this.#sink(last, item.position);
  }

  #rise(item: Item, from: number): void {
    let position = from;
    while (position > 0) {
      const above = (position - 1) >> 1;
      const parent = this.#items[above] as Item;
      if (!isBefore(item, parent)) break;
      this.#place(parent, position);
      position = above;
    }
    this.#place(item, position);
  }

  #sink(item: Item, from: number): void {
    let position = from;
    for (;;) {
      const left = this.#items[2 * position + 1];
      const right = this.#items[2 * position + 2];
      const child = left !== undefined && right !== undefined && isBefore(right, left) ? right : left;
      if (child === undefined || !isBefore(child, item)) break;
      const below = child.position;
      this.#place(child, position);
      position = below;
    }
    this.#place(item, position);
  }

  #place(item: Item, position: number): void {
    this.#items[position] = item;
    item.position = position;
  }
}

function isBefore(a: HeapItem, b: HeapItem): boolean {
  return a.expiresAt < b.expiresAt || (a.expiresAt === b.expiresAt && a.order < b.order);
}
