/** Shows people how far something has got. */
export interface Progress {
  /** Counts one step as done. */
  step(): void;
  /** Begins another part, with a name and a number of steps. */
  begin(name: string, steps: number): void;
  /** Ends the part; `summary` is what is left to read of it. */
  end(summary: string): void;
}

const barWidth = 30;
const redrawMs = 100;

/** Draws a bar on a terminal; elsewhere writes a line for each part that has ended. */
export function createProgress(out: NodeJS.WriteStream): Progress {
  let name = "";
  let steps = 0;
  let done = 0;
  let drawnAtMs = 0;

  function draw(): void {
    const share = steps === 0 ? 1 : done / steps;
    const filled = Math.round(share * barWidth);
    const bar = "█".repeat(filled) + "░".repeat(barWidth - filled);
    out.write(`\r\x1b[K${name} ${bar} ${done}/${steps}`);
    drawnAtMs = performance.now();
  }

  return {
    begin(newName, newSteps) {
      name = newName;
      steps = newSteps;
      done = 0;
      if (out.isTTY) draw();
    },
    step() {
      done++;
      if (out.isTTY && performance.now() - drawnAtMs > redrawMs) draw();
    },
    end(summary) {
      out.write(`${out.isTTY ? "\r\x1b[K" : ""}${name}: ${summary}\n`);
    },
  };
}
