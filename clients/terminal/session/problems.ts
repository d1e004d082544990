import { ErrorReason, ParlanceError, Status } from "../../typescript/index.ts";

/** Says in a few words why something did not work. */
export function problemOf(error: unknown): string {
  if (!(error instanceof ParlanceError)) return error instanceof Error ? error.message : String(error);
  if (error.reason === ErrorReason.UNSPECIFIED) {
    const gone = error.code === Status.UNAVAILABLE || error.code === Status.DEADLINE_EXCEEDED;
    if (gone) return "the server does not answer";
  }
  const [violation] = error.violations;
  const reason = error.reasonName === "" ? "" : ` (${error.reasonName})`;
  return `${violation ? `${violation.field}: ${violation.description}` : error.message}${reason}`;
}
