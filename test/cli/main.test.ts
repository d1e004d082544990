import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { describe, expect, test } from "vitest";
import { createJwtVerifier } from "../../src/auth/jwt.ts";

const secret = "a secret of the tests that is long enough";

/** Runs `parlance` as a program of its own, in an environment without its settings. */
function parlance(args: string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["src/main.ts", ...args], {
    encoding: "utf8",
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE, ...env },
  });
  return { status, stdout, stderr };
}

describe("parlance", () => {
  test.each([[[]], [["--help"]], [["-h"]]])("shows its commands: %j", (args) => {
    const { status, stdout, stderr } = parlance(args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    for (const command of ["serve", "token", "send", "tail", "replay"]) expect(stdout).toContain(command);
    expect(stdout).not.toContain("\u001b");
  });

  test("shows its version", () => {
    const { version } = createRequire(import.meta.url)("parlance/package.json") as { version: string };
    expect(parlance(["--version"])).toEqual({ status: 0, stdout: `${version}\n`, stderr: "" });
  });

  test.each(["tokn", "constructor", "--sever", ""])("refuses the unknown command %j in one line", (name) => {
    const { status, stdout, stderr } = parlance([name]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/^parlance: .* is no command of parlance; the commands are serve, .*\n$/);
  });
});

describe("parlance token", () => {
  test("prints a token that the server takes, and nothing else", async () => {
    const { status, stdout, stderr } = parlance(["token", "--user", "alice", "--ttl", "15m"], {
      PARLANCE_JWT_SECRET: secret,
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const identity = await createJwtVerifier({ secret }).verify({ kind: "token", token: stdout.trim() });
    expect(identity.userId).toBe("alice");
    expect(identity.expireTimeMs - identity.issueTimeMs).toBe(900_000);
  });

  test("takes the secret, issuer and audience of the server's settings", async () => {
    const { stdout } = parlance(["token", "--user=alice", `--secret=${secret}!`], {
      PARLANCE_JWT_SECRET: secret,
      PARLANCE_JWT_ISSUER: "app",
      PARLANCE_JWT_AUDIENCE: "chat",
    });
    const verifier = createJwtVerifier({ secret: `${secret}!`, issuer: "app", audience: "chat" });
    expect((await verifier.verify({ kind: "token", token: stdout.trim() })).userId).toBe("alice");
  });

  test("explains itself", () => {
    const { status, stdout } = parlance(["token", "--help"]);
    expect(status).toBe(0);
    expect(stdout).toContain("--ttl");
  });

  test("without a secret says what to set", () => {
    const { status, stdout, stderr } = parlance(["token", "--user", "alice"]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(/^parlance: .*PARLANCE_JWT_SECRET.*\n$/);
  });

  test.each([
    ["no user", ["token"], "--user"],
    ["an unknown option", ["token", "--usr", "alice"], "--usr"],
    ["an option without its value", ["token", "--user"], "--user"],
    ["a word too many", ["token", "--user", "alice", "bob"], "bob"],
    ["no user id", ["token", "--user", " alice"], "user id"],
    ["no duration", ["token", "--user", "alice", "--ttl", "soon"], "15m"],
    ["a short secret", ["token", "--user", "alice", "--secret", "hunter2"], "32 bytes"],
    ["a file that is not there", ["token", "--user", "alice", "--config", "none.json"], "none.json"],
  ])("refuses %s in one line", (_, args, part) => {
    const { status, stdout, stderr } = parlance(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/^parlance: [^\n]*\n$/);
    expect(stderr).toContain(part);
    expect(stderr).not.toContain("hunter2");
  });

  test("refuses a wrong setting in one line, and minds none that does not concern it", () => {
    const env = { PARLANCE_PORT: "high", PARLANCE_HOST: "0.0.0.0", PARLANCE_SOMETHING: "1" };
    const wrong = parlance(["token", "--user", "alice"], { ...env, PARLANCE_JWT_SECRET: "short" });
    expect(wrong.status).toBe(2);
    expect(wrong.stderr).toBe(
      "parlance: jwtSecret must be text of at least 32 bytes, but PARLANCE_JWT_SECRET holds something else\n",
    );
    const right = parlance(["token", "--user", "alice", "--secret", secret], {
      ...env,
      PARLANCE_JWT_SECRET_FILE: "/none",
    });
    expect(right).toMatchObject({ status: 0, stdout: expect.stringMatching(/^ey\S+\n$/) });
    expect(right.stderr).toBe(
      "parlance: warning: other users of this machine can read --secret; set PARLANCE_JWT_SECRET or PARLANCE_JWT_SECRET_FILE instead\n",
    );
  });
});

describe("parlance serve", () => {
  test("refuses a wrong setting in one line", () => {
    const { status, stderr } = parlance(["serve"], { PARLANCE_PORT: "high" });
    expect(status).toBe(2);
    expect(stderr).toBe(
      'parlance: port must be a whole number from 0 to 65,535, but PARLANCE_PORT is "high"\n',
    );
  });
});
