/** The parts of an unexpected error that may be logged. */
export interface FailureFacts {
  /** Its class, such as `TypeError`. */
  error: string;
  /** Its code, such as `ERR_INVALID_CHAR`, if it has one. */
  code?: string;
  /** Where it was thrown, innermost first, at most 20 places. */
  at: string[];
}

const maxFrames = 20;

/**
 * Returns what can be logged of an error without any value that it was about:
 * messages quote what somebody sent, a token as likely as anything else.
 *
 * @param thrown whatever was thrown, an error or not
 */
export function failureFacts(thrown: unknown): FailureFacts {
  if (!(thrown instanceof Error)) return { error: typeof thrown, at: [] };
  const { code } = thrown as { code?: unknown };
  return {
    error: thrown.constructor.name,
    ...(typeof code === "string" && /^[\w.-]{1,64}$/.test(code) && { code }),
    at: framesOf(thrown),
  };
}

/** The lines of a stack below the message, which may itself be of several lines; none where the two cannot be told apart. */
function framesOf({ stack, message }: Error): string[] {
  const start = typeof stack === "string" && typeof message === "string" ? stack.indexOf(message) : -1;
  if (start === -1) return [];
  return (stack as string)
    .slice(start + message.length)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => /^at .*:\d+:\d+\)?$/.test(line))
    .slice(0, maxFrames)
    .map((line) => line.slice("at ".length));
}
