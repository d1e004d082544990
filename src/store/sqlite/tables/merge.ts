import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Stretch } from "./readable-ranges.ts";

const firstChunk = 8;
const maxChunk = 256;

/** Where the merge stands in one stretch. Positions are fetched in growing chunks. */
interface Place {
  stretch: Stretch;
  positions: number[];
  next: number;
}

/** Merges the positions of stretches into one rising order, fetching no more than it must. */
export class Merge {
  /** A binary heap by position: each place stands before those at twice its index, plus one and two. */
  readonly #heap: Place[] = [];
  readonly #select: StatementSync;

  constructor(select: StatementSync, stretches: readonly Stretch[]) {
    this.#select = select;
    for (const stretch of stretches) {
      const place = { stretch, positions: [], next: 0 };
      this.#fetch(place, firstChunk);
      this.#rise(this.#heap.push(place) - 1);
    }
  }

  /** The statement it fetches with. */
  static prepare(database: DatabaseSync): StatementSync {
    return database.prepare(
      "SELECT position FROM events WHERE conversation = ? AND seq >= ? AND seq <= ? ORDER BY seq LIMIT ?",
    );
  }

  /** The lowest position that was not taken, undefined when all were. */
  peek(): number | undefined {
    const place = this.#heap[0];
    return place?.positions[place.next];
  }

  /** Takes the lowest position. */
  take(): void {
    const place = this.#heap[0];
    if (place === undefined) return;
    place.next++;
    if (place.next === place.positions.length)
      this.#fetch(place, Math.min(place.positions.length * 4, maxChunk));
    if (place.next === place.positions.length) {
      const last = this.#heap.pop() as Place;
      if (this.#heap.length === 0) return;
      this.#heap[0] = last;
    }
    this.#sink();
  }

  #fetch(place: Place, count: number): void {
    const { stretch } = place;
    if (stretch.fromSeq > stretch.toSeq) return;
    const rows = this.#select.all(stretch.conversation, stretch.fromSeq, stretch.toSeq, count);
    place.positions = rows.map((row) => Number(row.position));
    place.next = 0;
    place.stretch = { ...stretch, fromSeq: stretch.fromSeq + rows.length };
  }

  #positionAt(index: number): number {
    const place = this.#heap[index];
    return place?.positions[place.next] ?? Number.POSITIVE_INFINITY;
  }

  #rise(from: number): void {
    for (let index = from; index > 0; ) {
      const parent = (index - 1) >> 1;
      if (this.#positionAt(parent) <= this.#positionAt(index)) return;
      this.#swap(parent, index);
      index = parent;
    }
  }

  #sink(): void {
    for (let index = 0; ; ) {
      const left = index * 2 + 1;
      const child = this.#positionAt(left + 1) < this.#positionAt(left) ? left + 1 : left;
      if (this.#positionAt(index) <= this.#positionAt(child)) return;
      this.#swap(index, child);
      index = child;
    }
  }

  #swap(a: number, b: number): void {
    const place = this.#heap[a] as Place;
    this.#heap[a] = this.#heap[b] as Place;
    this.#heap[b] = place;
  }
}
