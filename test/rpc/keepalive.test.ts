import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type ClientHttp2Session, connect } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { keyOf } from "../../src/net/tcp-table.ts";
import { type Certificate, makeCertificate } from "../support/certificate.ts";
import { eventually } from "../support/eventually.ts";
import { startTestServer } from "../support/server.ts";

const never = 600_000;
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

describe.each([
  ["gRPC", "clear text"],
  ["gRPC", "TLS"],
  ["HTTP", "clear text"],
  ["HTTP", "TLS"],
])("on the port for %s in %s", (portName, kind) => {
  let certificate: Certificate | undefined;
  beforeAll(() => {
    if (kind === "TLS") certificate = makeCertificate();
  });
  afterAll(() => certificate?.remove());

  async function start(keepaliveTimeMs: number, keepaliveIdleTimeMs: number): Promise<number> {
    const server = await startTestServer({
      keepaliveTimeMs,
      keepaliveIdleTimeMs,
      keepaliveTimeoutMs: 100,
      ...(certificate && { tlsCertFile: certificate.certFile, tlsKeyFile: certificate.keyFile }),
    });
    onTestFinished(() => server.close());
    const address = portName === "gRPC" ? server.address : (server.server.httpAddress as string);
    return Number(address.split(":").at(-1));
  }

  /** Connects a client that answers pings, and counts them. */
  async function openSession(port: number): Promise<{ session: ClientHttp2Session; pings: () => number }> {
    const session = certificate
      ? connect(`https://localhost:${port}`, { ca: certificate.cert })
      : connect(`http://127.0.0.1:${port}`);
    onTestFinished(() => session.destroy());
    let pings = 0;
    session.on("ping", () => void pings++);
    await once(session, "remoteSettings");
    return { session, pings: () => pings };
  }

  /** Makes a call of any kind, to which something is answered. */
  async function call(session: ClientHttp2Session): Promise<void> {
    const stream = session.request({ ":path": "/healthz" });
    stream.on("error", () => {}).resume();
    await once(stream, "close");
  }

  /** Connects a client that says hello and then nothing. */
  async function openSilent(port: number): Promise<Socket> {
    const socket = certificate
      ? connectTls({
          port,
          host: "127.0.0.1",
          servername: "localhost",
          ca: certificate.cert,
          ALPNProtocols: ["h2"],
        })
      : connectTcp(port, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => {}).resume();
    socket.write(preface, "latin1");
    await once(socket, "data");
    return socket;
  }

  /** Lets silent clients come and be cut off: a measure of time that is as slow as the server is. */
  async function othersAreCutOff(port: number): Promise<void> {
    for (let times = 0; times < 2; times++) await once(await openSilent(port), "close");
  }

  test("a client that answers nothing to what it was sent is cut off", async () => {
    const socket = await openSilent(await start(100, never));
    await once(socket, "close");
  });

  test("a client that falls silent while nothing is sent is cut off as well", async () => {
    const socket = await openSilent(await start(never, 100));
    await once(socket, "close");
  });

  test("a client that is sent nothing is left in peace, and asked once it was sent something", async () => {
    const port = await start(100, never);
    const { session, pings } = await openSession(port);
    // At most for the SETTINGS that were exchanged: what it was sent first, and the answer to its own.
    await othersAreCutOff(port);
    const atFirst = pings();
    expect(atFirst).toBeLessThanOrEqual(2);
    await othersAreCutOff(port);
    expect(pings()).toBe(atFirst);
    let calls = 0;
    do {
      await call(session);
      calls++;
      await othersAreCutOff(port);
      // Whoever happens to say something after the answer need not be asked.
    } while (pings() === atFirst);
    const inTheEnd = pings();
    expect(inTheEnd).toBeLessThanOrEqual(atFirst + calls);
    await othersAreCutOff(port);
    expect(pings()).toBe(inTheEnd);
    expect(session.destroyed).toBe(false);
  });

  test("a client that is sent nothing is asked again and again all the same", async () => {
    const { session, pings } = await openSession(await start(never, 100));
    await eventually(() => pings() > 5);
    expect(session.destroyed).toBe(false);
  });

  test.runIf(process.platform === "linux")("the system probes a silent client within 4 seconds", async () => {
    const { session } = await openSession(await start(never, never));
    const { localPort = 0, remotePort = 0 } = session.socket;
    const key = keyOf({ localPort: remotePort, remoteAddress: "127.0.0.1", remotePort: localPort });
    /** The timer of the server's end, of kind 2 if it is the one for probes, and hundredths of a second until it fires. */
    const timer = () =>
      new RegExp(`:${key} 01 \\w+:\\w+ (\\w\\w):(\\w+)`).exec(readFileSync("/proc/net/tcp", "latin1"));
    await eventually(() => timer()?.[1] === "02");
    expect(Number.parseInt(timer()?.[2] ?? "", 16)).toBeLessThanOrEqual(400);
  });
});
