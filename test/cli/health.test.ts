import { spawn } from "node:child_process";
import { createServer as createTcpServer } from "node:net";
import { text } from "node:stream/consumers";
import { createServer } from "nice-grpc";
import { expect, onTestFinished, test } from "vitest";
import { createHealth } from "../../src/rpc/health.ts";
import { exitOf } from "../support/serve-child.ts";
import { startTestServer } from "../support/server.ts";

async function health(...args: string[]) {
  const child = spawn(process.execPath, ["src/main.ts", "health", ...args], { timeout: 120_000 });
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exitOf(child)]);
  return { stdout, stderr, code };
}

test("a server that takes calls is told to be SERVING", async () => {
  const { address, close } = await startTestServer();
  onTestFinished(close);
  expect(await health("--server", address)).toEqual({
    stdout: `${address} is SERVING\n`,
    stderr: "",
    code: 0,
  });
  const { stdout, code } = await health("--server", address, "--json");
  expect({ told: JSON.parse(stdout), code }).toEqual({
    told: { server: address, status: "SERVING" },
    code: 0,
  });
});

test("a server that takes no calls is told to be NOT_SERVING, with exit code 1", async () => {
  const { definition, implementation } = createHealth([]);
  const server = createServer();
  server.add(definition, implementation);
  const address = `127.0.0.1:${await server.listen("127.0.0.1:0")}`;
  onTestFinished(() => server.shutdown());
  expect(await health("--server", address)).toEqual({
    stdout: `${address} is NOT_SERVING\n`,
    stderr: "",
    code: 1,
  });
});

test("where no server is, one line says so, with exit code 1", async () => {
  const address = await freeAddress();
  const { stdout, stderr, code } = await health("--server", address);
  expect({ stdout, code }).toEqual({ stdout: "", code: 1 });
  expect(stderr).toMatch(/^parlance: 127\.0\.0\.1:\d+ does not tell its health: .*; .*--server\n$/);

  const asJson = await health("--server", address, "--json");
  expect(asJson).toMatchObject({ stderr: "", code: 1 });
  expect(JSON.parse(asJson.stdout)).toEqual({
    server: address,
    status: "UNREACHABLE",
    error: expect.stringContaining("UNAVAILABLE"),
  });
});

test("a server that takes the connection and says nothing is not waited for", async () => {
  const silent = createTcpServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void silent.close());
  const { port } = silent.address() as { port: number };
  const { stdout, code } = await health("--server", `127.0.0.1:${port}`, "--json");
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    status: "UNREACHABLE",
    error: expect.stringContaining("3000 ms"),
  });
});

/** An address where nothing listens. */
async function freeAddress(): Promise<string> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return `127.0.0.1:${port}`;
}
