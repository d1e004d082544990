import { graphemesOf, widthOf } from "../../../clients/terminal/text/width.ts";

const esc = "\u001b";
/** CSI with its prefix, parameters and final byte; OSC with its text; or a plain escape. */
const controlSequence = new RegExp(
  `^${esc}(?:\\[([<-?]?)([\\d;:]*)([ -/]*)([@-~])|\\]([^\\u0007${esc}]*)(?:\\u0007|${esc}\\\\)|[ -/]*[0-~])`,
);

/** How a cell is drawn: the numbers of SGR, and nothing when it is plain. */
export interface Pen {
  /** 0 to 15, of the terminal's own colours. */
  color?: number;
  bold?: boolean;
  dim?: boolean;
  inverse?: boolean;
}

/** One cell. The right half of a wide character is empty. */
export interface Cell {
  text: string;
  pen: Pen;
}

/**
 * A terminal's screen, as far as programs use it that draw on all of it: text,
 * cursor, erasing, scrolling, the alternate screen, colours and modes.
 */
export class TerminalScreen {
  columns: number;
  rows: number;
  /** What is on the screen. */
  cells: Cell[][];
  x = 0;
  y = 0;
  /**
   * Private modes that are on: 1049 is the alternate screen, 25 the cursor, 2004 bracketed paste, 7 line wrap, 2026 a
   * picture being drawn.
   */
  readonly modes = new Set([7, 25]);
  /** Every SGR number that was used for a colour. */
  readonly colours = new Set<number>();
  /** What was written and is not understood; empty for well-behaved programs. */
  readonly unknown: string[] = [];
  #main: { cells: Cell[][]; x: number; y: number } | undefined;
  #saved = { x: 0, y: 0 };
  #pen: Pen = {};
  #rest = "";
  /** What was on the screen when the program began to draw a picture, until it is drawn. */
  #lastPicture: string[] | undefined;

  constructor(columns: number, rows: number) {
    this.columns = columns;
    this.rows = rows;
    this.cells = this.#blank();
  }

  /** Takes what a program wrote. */
  write(data: string): void {
    const text = this.#rest + data;
    this.#rest = "";
    let at = 0;
    while (at < text.length) {
      const next = text.slice(at);
      if (next[0] === "\u001b") {
        const sequence = controlSequence.exec(next);
        if (sequence === null || sequence[0] === "\u001b[" || sequence[0] === "\u001b]") {
          this.#rest = next;
          return;
        }
        this.#control(sequence);
        at += sequence[0].length;
      } else if (/^\p{Cc}/u.test(next)) {
        this.#plainControl(next[0] as string);
        at += 1;
      } else {
        const run = (/^\P{Cc}+/u.exec(next) as RegExpExecArray)[0];
        for (const grapheme of graphemesOf(run)) this.#put(grapheme);
        at += run.length;
      }
    }
  }

  /** Changes the size, as a terminal does for a program that draws anew. */
  resize(columns: number, rows: number): void {
    const fitted = (cells: Cell[][]) => {
      const kept = cells.length > rows ? cells.slice(cells.length - rows) : cells;
      return Array.from({ length: rows }, (_, y) =>
        Array.from({ length: columns }, (_, x) => kept[y]?.[x] ?? { text: " ", pen: {} }),
      );
    };
    // Rows are pushed out at the top, and the cursor stays with its text.
    this.y = Math.max(0, Math.min(this.y - Math.max(0, this.rows - rows), rows - 1));
    this.x = Math.min(this.x, columns - 1);
    this.cells = fitted(this.cells);
    if (this.#main) this.#main.cells = fitted(this.#main.cells);
    this.columns = columns;
    this.rows = rows;
  }

  /** The screen's lines, without white space at their ends. While a picture is being drawn, those of the last one. */
  get lines(): string[] {
    return this.#lastPicture ?? this.#linesNow();
  }

  /** The screen as one text. */
  get text(): string {
    return this.lines.join("\n");
  }

  #linesNow(): string[] {
    return this.cells.map((row) =>
      row
        .map(({ text }) => text)
        .join("")
        .trimEnd(),
    );
  }

  #blank(): Cell[][] {
    return Array.from({ length: this.rows }, () => this.#blankRow());
  }

  #blankRow(): Cell[] {
    return Array.from({ length: this.columns }, () => ({ text: " ", pen: {} }));
  }

  #put(grapheme: string): void {
    const width = widthOf(grapheme);
    if (width === 0) return;
    if (this.x + width > this.columns) {
      if (this.modes.has(7)) {
        this.x = 0;
        this.#lineFeed();
      } else this.x = this.columns - width;
    }
    const row = this.cells[this.y] as Cell[];
    for (let i = 0; i < width; i++) row[this.x + i] = { text: i === 0 ? grapheme : "", pen: this.#pen };
    this.x += width;
  }

  #plainControl(character: string): void {
    if (character === "\r") this.x = 0;
    else if (character === "\n") this.#lineFeed();
    else if (character === "\b") this.x = Math.max(0, this.x - 1);
    else if (character === "\t") this.x = Math.min(this.columns - 1, (Math.floor(this.x / 8) + 1) * 8);
    else this.unknown.push(JSON.stringify(character));
  }

  /** Goes down a row. The tty has put a return before the line feeds of programs. */
  #lineFeed(): void {
    if (this.y < this.rows - 1) this.y++;
    else {
      this.cells.shift();
      this.cells.push(this.#blankRow());
    }
  }

  #control([whole, prefix = "", parameters = "", , final = "", osc]: RegExpExecArray): void {
    if (osc !== undefined) return;
    const numbers = parameters.split(";").map((each) => (each === "" ? undefined : Number(each)));
    const [first, second] = numbers;
    const n = Math.max(1, first ?? 1);
    if (prefix === "?" && (final === "h" || final === "l")) {
      for (const mode of numbers) this.#mode(mode ?? 0, final === "h");
      return;
    }
    if (prefix !== "") {
      this.unknown.push(whole);
      return;
    }
    switch (final) {
      case "A":
        this.y = Math.max(0, this.y - n);
        return;
      case "B":
        this.y = Math.min(this.rows - 1, this.y + n);
        return;
      case "C":
        this.x = Math.min(this.columns - 1, this.x + n);
        return;
      case "D":
        this.x = Math.max(0, this.x - n);
        return;
      case "E":
        this.y = Math.min(this.rows - 1, this.y + n);
        this.x = 0;
        return;
      case "G":
        this.x = Math.min(this.columns, n) - 1;
        return;
      case "H":
      case "f":
        this.y = Math.min(this.rows, n) - 1;
        this.x = Math.min(this.columns, Math.max(1, second ?? 1)) - 1;
        return;
      case "J":
        this.#eraseScreen(first ?? 0);
        return;
      case "K":
        this.#eraseLine(this.y, first ?? 0);
        return;
      case "m":
        this.#style(numbers);
        return;
      case "s":
        this.#saved = { x: this.x, y: this.y };
        return;
      case "u":
        this.x = this.#saved.x;
        this.y = this.#saved.y;
        return;
      default:
        this.unknown.push(whole);
    }
  }

  #mode(mode: number, on: boolean): void {
    if (mode === 1049 && on !== this.modes.has(mode)) {
      if (on) {
        this.#main = { cells: this.cells, x: this.x, y: this.y };
        this.cells = this.#blank();
      } else if (this.#main) {
        ({ cells: this.cells, x: this.x, y: this.y } = this.#main);
      }
    }
    if (mode === 2026) this.#lastPicture = on ? (this.#lastPicture ?? this.#linesNow()) : undefined;
    if (on) this.modes.add(mode);
    else this.modes.delete(mode);
  }

  #eraseScreen(how: number): void {
    this.#eraseLine(this.y, how);
    for (let y = 0; y < this.rows; y++) {
      if (how === 2 || (how === 0 ? y > this.y : y < this.y)) this.#eraseLine(y, 2);
    }
  }

  #eraseLine(y: number, how: number): void {
    const row = this.cells[y] as Cell[];
    for (let x = 0; x < this.columns; x++) {
      if (how === 2 || (how === 0 ? x >= this.x : x <= this.x)) row[x] = { text: " ", pen: {} };
    }
  }

  #style(numbers: readonly (number | undefined)[]): void {
    const pen: Pen = { ...this.#pen };
    for (const code of numbers) {
      if (code === undefined || code === 0) {
        delete pen.color;
        delete pen.bold;
        delete pen.dim;
        delete pen.inverse;
      } else if (code === 1) pen.bold = true;
      else if (code === 2) pen.dim = true;
      else if (code === 7) pen.inverse = true;
      else if (code === 22) {
        delete pen.bold;
        delete pen.dim;
      } else if (code === 27) delete pen.inverse;
      else if (code === 39) delete pen.color;
      else if (code >= 30 && code <= 37) pen.color = code - 30;
      else if (code >= 90 && code <= 97) pen.color = code - 82;
      if (code !== undefined && code >= 30 && code !== 39 && code !== 49) this.colours.add(code);
    }
    this.#pen = pen;
  }
}
