import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nkeys } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createNatsBus, type NatsBusOptions, NatsError } from "../../src/bus/nats/nats-bus.ts";
import { parseServers } from "../../src/bus/nats/settings.ts";
import { everyMessage } from "../contracts/bus.ts";
import { makeCertificate } from "../support/certificate.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { type NatsServer, natsServerIsThere, startNatsServer } from "../support/nats.ts";
import { testEpoch } from "../support/test-epoch.ts";
import { createKeptLog, silentLog } from "./support.ts";

/** Connects and closes. */
async function connects(options: Partial<NatsBusOptions>): Promise<void> {
  const bus = await createNatsBus({ store: testEpoch, url: "", log: silentLog, ...options });
  expect(bus.connected).toBe(true);
  expect(await bus.request("nodes", everyMessage.nodeQuery, { maxMs: 600_000 })).toEqual([]);
  await bus.close();
}

/** Returns why there is no connection: one line, without the secrets of these tests. */
async function refusal(options: Partial<NatsBusOptions>): Promise<{ failure: string; message: string }> {
  const log = createKeptLog();
  const error = await createNatsBus({ store: testEpoch, url: "", log, ...options }).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(NatsError);
  const { failure, message } = error as NatsError;
  for (const text of [message, ...log.lines]) {
    expect(text).not.toContain("\n");
    expect(text).not.toContain("hunter2");
  }
  return { failure, message };
}

describe.runIf(natsServerIsThere())("a NATS bus starts", () => {
  const servers: NatsServer[] = [];
  async function start(config = ""): Promise<NatsServer> {
    const server = await startNatsServer({ config });
    servers.push(server);
    return server;
  }
  afterAll(() => Promise.all(servers.map((server) => server.remove())));

  describe("at a server with a user and a password", () => {
    let server: NatsServer;
    beforeAll(async () => {
      server = await start('authorization { user: "u ser", password: "hunter2/p@ss" }');
    });

    test("given as settings or in the URL", async () => {
      await connects({ url: server.url, user: "u ser", password: "hunter2/p@ss" });
      await connects({ url: server.url.replace("nats://", "nats://u%20ser:hunter2%2Fp%40ss@") });
    });

    test.each([
      ["a wrong password", { user: "u ser", password: "hunter2" }],
      ["no credentials", {}],
      ["a token", { token: "hunter2" }],
    ])("not with %s, and says so even when it would wait", async (_what, credentials) => {
      for (const waitForServer of [false, true]) {
        expect(await refusal({ url: server.url, waitForServer, ...credentials })).toEqual({
          failure: "credentials",
          message: `no connection to NATS at 127.0.0.1:${server.port}: the server refuses the credentials (Authorization Violation)`,
        });
      }
    });
  });

  test("at a server with a token, given as a setting or in the URL", async () => {
    const server = await start('authorization { token: "hunter2" }');
    await connects({ url: server.url, token: "hunter2" });
    await connects({ url: server.url.replace("nats://", "nats://hunter2@") });
    expect(await refusal({ url: server.url, token: "hunter2?" })).toMatchObject({ failure: "credentials" });
  });

  test("at a server that asks for a JWT, with a credentials file", async () => {
    const folder = mkdtempSync(join(tmpdir(), "parlance-nats-jwt-"));
    try {
      const { operator, account, accountJwt, creds } = makeCredentials();
      const server = await start(
        `operator: "${operator}"\nresolver: MEMORY\nresolver_preload { ${account}: "${accountJwt}" }`,
      );
      const credsFile = join(folder, "user.creds");
      writeFileSync(credsFile, creds);
      await connects({ url: server.url, credsFile });
      expect(await refusal({ url: server.url })).toMatchObject({ failure: "credentials" });
      writeFileSync(credsFile, makeCredentials().creds);
      expect(await refusal({ url: server.url, credsFile })).toMatchObject({ failure: "credentials" });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  describe("over TLS", () => {
    let folder: string;
    let server: NatsServer;
    let strict: NatsServer;
    let files: Record<"ca" | "cert" | "key", string>;
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), "parlance-nats-tls-"));
      files = makeAuthority(folder);
      const tls = `cert_file: "${files.cert}", key_file: "${files.key}", ca_file: "${files.ca}"`;
      server = await start(`tls { ${tls} }`);
      strict = await start(`tls { ${tls}, verify: true }`);
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    test("when it trusts the server's authority", async () => {
      await connects({ url: `tls://localhost:${server.port}`, tlsCaFile: files.ca });
      await connects({ url: `nats://127.0.0.1:${server.port}`, tlsCaFile: files.ca });
    });

    test("with a certificate of its own where the server asks for one", async () => {
      const url = `tls://localhost:${strict.port}`;
      await connects({ url, tlsCaFile: files.ca, tlsCertFile: files.cert, tlsKeyFile: files.key });
      // In TLS 1.3 the server refuses after the handshake, and its reset may overtake the alert that says why.
      expect(["tls", "unreachable"]).toContain((await refusal({ url, tlsCaFile: files.ca })).failure);
    });

    test("not when it does not know the authority", async () => {
      const other = makeCertificate();
      const refusals = [
        await refusal({ url: `tls://localhost:${server.port}` }),
        await refusal({ url: `nats://localhost:${server.port}`, waitForServer: true }),
        await refusal({ url: `tls://localhost:${server.port}`, tlsCaFile: other.certFile }),
      ];
      other.remove();
      for (const { failure, message } of refusals) {
        expect(failure).toBe("tls");
        expect(message).toMatch(/TLS failed: unable to verify|TLS failed: self.signed/i);
      }
    });

    test("not when the certificate is for another host", async () => {
      const foreign = makeAuthority(mkdtempSync(join(folder, "foreign-")), "DNS:elsewhere.example");
      const { port } = await start(`tls { cert_file: "${foreign.cert}", key_file: "${foreign.key}" }`);
      expect(await refusal({ url: `tls://localhost:${port}`, tlsCaFile: foreign.ca })).toMatchObject({
        failure: "tls",
        message: expect.stringContaining("elsewhere.example"),
      });
    });

    test("not in plain text when TLS is asked for", async () => {
      const plain = await start();
      expect(await refusal({ url: `tls://localhost:${plain.port}` })).toMatchObject({
        failure: "tls",
        message: expect.stringContaining("TLS is asked for, and the server has none"),
      });
    });

    test("not with files that are missing or hold something else", async () => {
      const url = server.url;
      const empty = join(folder, "empty");
      writeFileSync(empty, "hunter2");
      expect(await refusal({ url, tlsCaFile: join(folder, "none") })).toMatchObject({
        failure: "settings",
        message: expect.stringContaining(join(folder, "none")),
      });
      expect(await refusal({ url, credsFile: empty })).toMatchObject({ failure: "settings" });
      expect(await refusal({ url, tlsCertFile: empty, tlsKeyFile: empty })).toMatchObject({ failure: "tls" });
    });
  });

  test("not at a list of servers that makes no sense, which is not repeated", async () => {
    for (const url of [
      "",
      "hunter2",
      "http://hunter2:1",
      "nats://",
      "nats://a,hunter2",
      "nats://%zz:hunter2@a",
    ]) {
      expect(await refusal({ url, waitForServer: true })).toMatchObject({ failure: "settings" });
    }
  });

  test("with servers named by addresses of both kinds, with or without a port", () => {
    const { servers, tls } = parseServers("nats://[::1]:1, nats://10.0.0.1,nats://Host.example:4333/");
    expect(servers).toEqual(["[::1]:1", "10.0.0.1:4222", "Host.example:4333"]);
    expect(tls).toBe(false);
    expect(parseServers("nats://a,tls://b").tls).toBe(true);
  });

  test("not at a host that has no address", async () => {
    expect(await refusal({ url: "nats://u:hunter2@no-such-host.invalid" })).toMatchObject({
      failure: "host",
      message: expect.stringMatching(
        /^no connection to NATS at no-such-host.invalid:4222: the host name no-such-host.invalid/,
      ),
    });
  });

  test("not where nothing listens, or something else does", async () => {
    expect(await refusal({ url: `nats://127.0.0.1:${await freePort()}` })).toMatchObject({
      failure: "unreachable",
      message: expect.stringContaining("ECONNREFUSED"),
    });
    const other = createServer((socket) => {
      socket.on("error", () => {});
      socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    const port = await listen(other);
    expect(await refusal({ url: `nats://127.0.0.1:${port}` })).toMatchObject({ failure: "protocol" });
    other.close();
  });

  test("at the server that is there, when others of the list are not", async () => {
    const server = await start();
    await connects({ url: `nats://127.0.0.1:${await freePort()},${server.url},nats://no-such-host.invalid` });
  });

  test("once the server is there, when it is to wait, and says meanwhile what it waits for", async () => {
    const server = await start();
    await server.kill();
    const log = createKeptLog();
    const starting = createNatsBus({ store: testEpoch, url: server.url, waitForServer: true, log });
    await eventually(() => log.has("waiting for NATS"));
    await server.start();
    const bus = await starting;
    expect(bus.connected).toBe(true);
    expect(log.lines).toHaveLength(2);
    expect(log.lines[1]).toContain(`connected to NATS {"server":"n${server.port}`);
    await bus.close();
  });

  test("no more when the wait is ended, also at a server that takes connections and says nothing", async () => {
    let taken = 0;
    const silent = createServer((socket) => {
      taken++;
      socket.on("error", () => {});
    });
    const port = await listen(silent);
    const stop = new AbortController();
    const reason = new Error("told to stop");
    const starting = createNatsBus({
      store: testEpoch,
      url: `nats://127.0.0.1:${port}`,
      waitForServer: true,
      signal: stop.signal,
      log: silentLog,
    });
    await eventually(() => taken === 1);
    stop.abort(reason);
    await expect(starting).rejects.toBe(reason);
    // Closes only when the bus has let go of its connection.
    await new Promise((resolve) => silent.close(resolve));
  });
});

function listen(server: Server): Promise<number> {
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port)),
  );
}

/** Makes an authority and a certificate by it, for servers and clients. */
function makeAuthority(
  folder: string,
  names = "DNS:localhost,IP:127.0.0.1",
): Record<"ca" | "cert" | "key", string> {
  const path = (name: string) => join(folder, name);
  const openssl = (line: string) => execFileSync("openssl", line.split(" "), { cwd: folder, stdio: "pipe" });
  const key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
  openssl(`req -x509 ${key} -days 1 -subj /CN=authority -out ca.pem -keyout ca-key.pem`);
  openssl(`req ${key} -subj /CN=localhost -out request.pem -keyout key.pem`);
  writeFileSync(path("extensions"), `subjectAltName=${names}\n`);
  openssl(
    "x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 1 -extfile extensions -out cert.pem",
  );
  return { ca: path("ca.pem"), cert: path("cert.pem"), key: path("key.pem") };
}

/** Makes what a server and a user need to know of an operator and an account, as `nsc` does. */
function makeCredentials(): Record<"operator" | "account" | "accountJwt" | "creds", string> {
  const [operator, account, user] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createUser()];
  const unlimited = { subs: -1, data: -1, payload: -1 };
  const limits = { ...unlimited, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
  const userJwt = jwtBy(account, user, { ...unlimited, pub: {}, sub: {}, type: "user" });
  return {
    operator: jwtBy(operator, operator, { type: "operator" }),
    account: account.getPublicKey(),
    accountJwt: jwtBy(operator, account, { limits, type: "account" }),
    creds: `-----BEGIN NATS USER JWT-----
${userJwt}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
${Buffer.from(user.getSeed()).toString()}
------END USER NKEY SEED------
`,
  };
}

type KeyPair = ReturnType<typeof nkeys.createUser>;

function jwtBy(issuer: KeyPair, subject: KeyPair, nats: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const [iss, sub] = [issuer.getPublicKey(), subject.getPublicKey()];
  const claims = { jti: sub, iat: 1_700_000_000, iss, sub, name: "test", nats: { ...nats, version: 2 } };
  const signed = `${part({ typ: "JWT", alg: "ed25519-nkey" })}.${part(claims)}`;
  return `${signed}.${Buffer.from(issuer.sign(Buffer.from(signed))).toString("base64url")}`;
}
