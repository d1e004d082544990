/**
 * Keeps a command whose reader has gone away (`parlance tail | head`) from
 * ending with a stack: it goes on to its end and has the exit code of that. One
 * whose output cannot be written for another reason says so and fails.
 */
export function mindOutputs(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE" || process.exitCode === 1) return;
    process.stderr.write(`parlance: the standard output cannot be written: ${error.message}\n`);
    process.exitCode = 1;
  });
  process.stderr.on("error", () => {
    // There is nobody left to tell.
  });
}
