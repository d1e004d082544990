import { createChannel, createClient, createServer, Status } from "nice-grpc";
import { expect, onTestFinished, test, vi } from "vitest";
import { createHealth, ServingStatus } from "../../src/rpc/health.ts";

const chat = "parlance.chat.v1.ChatService";

async function start() {
  const health = createHealth([chat]);
  const watching = new Set<AbortSignal>();
  let ended = 0;
  const server = createServer();
  server.add(health.definition, {
    ...health.implementation,
    async *watch(request, context) {
      watching.add(context.signal);
      yield* health.implementation.watch(request, context);
      ended++;
    },
  });
  const port = await server.listen("127.0.0.1:0");
  const channel = createChannel(`127.0.0.1:${port}`);
  onTestFinished(() => {
    channel.close();
    server.forceShutdown();
  });
  return { health, client: createClient(health.definition, channel), watching, ended: () => ended };
}

async function next(statuses: AsyncIterator<{ status: ServingStatus }>) {
  return (await statuses.next()).value?.status;
}

test("the server and each service are NOT_SERVING until they are ready", async () => {
  const { health, client } = await start();
  expect(await client.check({})).toMatchObject({ status: ServingStatus.NOT_SERVING });
  health.setServing(true);
  expect(await client.check({})).toMatchObject({ status: ServingStatus.SERVING });
  expect(await client.check({ service: chat })).toMatchObject({ status: ServingStatus.SERVING });
});

test("one service can be down while the server is up", async () => {
  const { health, client } = await start();
  health.setServing(true);
  health.setStatus(chat, ServingStatus.NOT_SERVING);
  const { statuses } = await client.list({});
  expect(Object.entries(statuses).map(([name, { status }]) => [name, status])).toEqual([
    ["", ServingStatus.SERVING],
    [chat, ServingStatus.NOT_SERVING],
  ]);
});

test("asking after an unknown service is NOT_FOUND, watching it says SERVICE_UNKNOWN", async () => {
  const { health, client } = await start();
  await expect(client.check({ service: "nobody" })).rejects.toMatchObject({ code: Status.NOT_FOUND });
  const statuses = client.watch({ service: "nobody" })[Symbol.asyncIterator]();
  expect(await next(statuses)).toBe(ServingStatus.SERVICE_UNKNOWN);
  await statuses.return?.();
  expect(() => health.setStatus("nobody", ServingStatus.SERVING)).toThrow(RangeError);
});

test("a watcher hears the status at once and then every change, but no repeats", async () => {
  const { health, client } = await start();
  const statuses = client.watch({})[Symbol.asyncIterator]();
  expect(await next(statuses)).toBe(ServingStatus.NOT_SERVING);
  health.setStatus(chat, ServingStatus.SERVING);
  health.setServing(false);
  health.setServing(true);
  expect(await next(statuses)).toBe(ServingStatus.SERVING);
  health.setServing(false);
  expect(await next(statuses)).toBe(ServingStatus.NOT_SERVING);
  await statuses.return?.();
});

test("watchers that go away leave nothing behind", async () => {
  const { client, watching, ended } = await start();
  for (let n = 0; n < 20; n++) {
    const controller = new AbortController();
    const statuses = client.watch({}, { signal: controller.signal })[Symbol.asyncIterator]();
    await next(statuses);
    controller.abort();
    await expect(statuses.next()).rejects.toThrow();
  }
  await vi.waitFor(() => expect(ended()).toBe(20));
  expect([...watching].every((signal) => signal.aborted)).toBe(true);
});
