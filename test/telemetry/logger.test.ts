import { expect, test } from "vitest";
import { createLogger } from "../../src/telemetry/logger.ts";

function logOf(write: (logger: ReturnType<typeof createLogger>) => void) {
  const lines: string[] = [];
  const logger = createLogger({ logLevel: "info" }, { write: (line) => void lines.push(line) });
  write(logger);
  return lines;
}

test("a log line is one JSON object with level, time and message", () => {
  const [line, ...rest] = logOf((logger) => logger.info({ method: "Login" }, "call"));
  expect(rest).toEqual([]);
  expect(line).toMatch(/^\{.*\}\n$/);
  expect(JSON.parse(line ?? "")).toEqual({
    level: "info",
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    method: "Login",
    msg: "call",
  });
});

test("secrets do not reach the log", () => {
  const lines = logOf((logger) => {
    logger.info({ token: "hunter2", jwtSecret: "hunter2" });
    logger.info({
      metadata: { authorization: "Bearer hunter2" },
      request: { credential: { token: "hunter2" } },
    });
    logger.child({ node: "a" }).warn({ sessionToken: "hunter2" }, "child");
  });
  expect(lines).toHaveLength(3);
  for (const line of lines) expect(line).not.toContain("hunter2");
});

test("text from outside cannot begin a line of its own", () => {
  const lines = logOf((logger) => logger.info({ userId: 'a\n{"level":"fatal"}\u001b[2J' }, "call"));
  expect(lines).toHaveLength(1);
  expect(lines[0]?.trimEnd().split(/\n/)).toHaveLength(1);
  expect(lines[0]).not.toContain("\u001b");
});

test("lines below the level are left out", () => {
  expect(logOf((logger) => logger.debug("detail"))).toEqual([]);
});
