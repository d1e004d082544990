import { createChannel } from "nice-grpc";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { type ConnectOptions, connect, createTransport } from "../../clients/typescript/index.ts";
import { AdminService } from "../../gen/parlance/admin/v1/admin_service_pb.js";
import type { RunningServer } from "../../src/host/server.ts";
import { clientOf } from "../support/clients.ts";
import { freePort } from "../support/free-port.ts";
import { serve, temporaryFolder, until } from "./server.ts";

/** Two servers that know nothing of each other, which is enough to see where clients go. */
let servers: RunningServer[];

beforeEach(async () => {
  servers = await Promise.all(
    [1, 2].map(async () => {
      const folder = await temporaryFolder();
      onTestFinished(folder.remove);
      return serve(folder.path, { adminPort: "0" });
    }),
  );
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
});

function addresses(): string[] {
  return servers.map(({ address }) => address);
}

/** How many sessions each has. */
function sessions(): number[] {
  return servers.map((server) => server.stats().sessions);
}

async function join(options: Partial<ConnectOptions> = {}) {
  const client = await connect({ address: addresses(), credentials: { devUserId: "alice" }, ...options });
  onTestFinished(() => client.close());
  return client;
}

/** Drains a server as an operator does. */
async function drain(server: RunningServer | undefined): Promise<void> {
  const channel = createChannel(server?.adminAddress as string);
  const admin = clientOf(AdminService, channel, {});
  const { nodes } = await admin.listNodes({});
  await admin.drainNode({ nodeName: nodes[0]?.name ?? "" });
  channel.close();
}

describe("a client of several servers", () => {
  test.each(["array", "text"])("finds the one that is there, given as %s", async (form) => {
    const list = [`127.0.0.1:${await freePort()}`, addresses()[0] as string];
    for (let i = 0; i < 4; i++) {
      const client = await join({ address: form === "array" ? list : list.join(", ") });
      expect((await client.sendDirect("bob", "hello")).seq).toBe(BigInt(i + 1));
      await client.close();
    }
  });

  test("makes calls at the one that is there, also such as must not be repeated", async () => {
    const address = [`127.0.0.1:${await freePort()}`, addresses()[0] as string];
    for (let i = 0; i < 4; i++) {
      const client = await join({ address, stream: false });
      const { group } = await client.groups.createGroup({ groupId: `tea-${i}` });
      expect(group?.groupId).toBe(`tea-${i}`);
    }
  });

  test("leaves one that is drained for the next, and takes it for another no more", async () => {
    const client = await join();
    const [first, second] = sessions()[0] === 1 ? [0, 1] : [1, 0];
    await drain(servers[first]);
    await until(() => sessions()[second] === 1 && client.state === "live", "it has moved");
    for (let i = 0; i < 4; i++) await join({ device: { deviceId: `device-${i}` } });
    expect(sessions()[first]).toBe(0);
    expect(sessions()[second]).toBe(5);
  });

  test("leaves one that is stopped for the next, and no call fails", async () => {
    const client = await join();
    const [first, second] = sessions()[0] === 1 ? [0, 1] : [1, 0];
    let stopping = true;
    const calls = (async () => {
      for (let i = 0; stopping; i++) await client.groups.createGroup({ groupId: `group-${i}` });
    })();
    await servers[first]?.close();
    await until(() => sessions()[second] === 1 && client.state === "live", "it has moved");
    stopping = false;
    await calls;
    await client.sendDirect("bob", "hello");
  });

  test("shares its connections evenly over them with other clients", async () => {
    const transport = createTransport({ address: addresses(), clientsPerConnection: 10 });
    for (let i = 0; i < 6; i++) await join({ transport, device: { deviceId: `device-${i}` } });
    expect(sessions()).toEqual([3, 3]);
  });
});

test("a client of no server is refused at once", async () => {
  for (const address of [[], "", " , "])
    await expect(connect({ address, credentials: { devUserId: "alice" } })).rejects.toThrow(
      new TypeError("connect needs an address or a transport"),
    );
});
