/** Sends a server's process what nobody would write down, as raw bytes on both ports, directly and through nginx. */

import { connect as dial, type Socket } from "node:net";
import { connect as dialTls } from "node:tls";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { Status } from "nice-grpc";
import { SendDirectRequestSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { anyCall, bytesOf, groupIds, serverFaults } from "../bad-input/arbitraries.ts";
import { createRawClient } from "../bad-input/raw-calls.ts";
import { FramePeer, FrameType, headerFields } from "../bad-input/raw-http2.ts";
import { type Nginx, nginxMissing, startNginx } from "../deploy/nginx.ts";
import { type Connection, connect, logIn } from "../support/connect.ts";
import { type Accepted, accepted, readBack, type Unreadable } from "../support/read-back.ts";
import { makeDataDir, type ServeChild, startServe } from "../support/serve-child.ts";
import { text } from "../support/server.ts";
import { headerList } from "./header-blocks.ts";
import { httpRequest, isServerFault } from "./http-requests.ts";

/** What a run of the fuzzer found. All but `cases` should be 0. */
export interface Findings {
  /** How many requests were sent. */
  cases: number;
  /** How often the server's process ended. */
  crashes: number;
  /** How many lines it logged above `info`. */
  unhandled: number;
  /** How many answers put a fault of the client on the server. */
  wrong_codes: number;
  /** How many messages that were accepted could not be read back. */
  unreadable: number;
}

/** Tells of something that was found, for people, with the input that led to it. */
export type Report = (what: string, input: unknown) => void;

/** How long an answer is waited for before the connection is given up, in milliseconds: calls of `Listen` have no end. */
const patienceMs = 2_000;
/** How many cases of each kind are made at a time. */
const batch = 24;

/**
 * Fuzzes a server of its own for so many seconds, with choices that follow from
 * the seed.
 */
export async function fuzz(seconds: number, seed: number, report: Report): Promise<Findings> {
  const target = await startTarget();
  const findings: Findings = { cases: 0, crashes: 0, unhandled: 0, wrong_codes: 0, unreadable: 0 };
  const untilMs = performance.now() + seconds * 1_000;
  const found = (kind: Exclude<keyof Findings, "cases">, what: string, input: unknown) => {
    findings[kind]++;
    report(what, input);
  };
  try {
    for (let round = 0; findings.crashes === 0 && (round === 0 || performance.now() < untilMs); round++) {
      for (const kind of kinds) {
        const cases = fc.sample(kind.cases as fc.Arbitrary<unknown>, { numRuns: batch, seed: seed + round });
        for (const input of cases) {
          const wrong = await kind.run(target, input as never).catch((error: unknown) => String(error));
          findings.cases++;
          if (wrong !== undefined) found("wrong_codes", `${kind.name}: ${wrong}`, input);
          if (target.ended !== undefined) {
            found("crashes", `${kind.name}: the server ended with ${target.ended}`, input);
            break;
          }
        }
        if (target.ended !== undefined) break;
        await target
          .expectServed()
          .catch((error: unknown) => found("wrong_codes", `${kind.name}: ${error}`, cases));
        for (const message of await target.unreadable())
          found("unreadable", `${kind.name}: ${message}`, cases);
        for (const line of target.newProblems()) found("unhandled", `${kind.name}: ${line}`, cases);
      }
    }
  } finally {
    await target.close();
  }
  return findings;
}

/** A kind of case: how they are made, and what is wrong with how the server takes one. */
interface Kind<Input> {
  name: string;
  cases: fc.Arbitrary<Input>;
  run: (target: Target, input: Input) => Promise<string | undefined>;
}

/** The server under test, and who uses it besides. */
interface Target {
  serve: ServeChild;
  nginx: Nginx | undefined;
  token: string;
  /** Calls as the one whose messages are read back. */
  writer: Connection;
  /** What was accepted of the writer since the last time. */
  accepted: Accepted[];
  readonly ended: number | NodeJS.Signals | undefined;
  /** What the server has logged above `info` since the last time. */
  newProblems: () => string[];
  /** Reads what was accepted back in every format, and says what was not read as it was sent. */
  unreadable: () => Promise<string[]>;
  /** Fails when somebody else is not served. */
  expectServed: () => Promise<void>;
  close: () => Promise<void>;
}

async function startTarget(): Promise<Target> {
  const dataDir = makeDataDir();
  const serve = await startServe(dataDir.path);
  const [mine = "", token = ""] = await logIn(serve.address, ["witness", "alice"]);
  const [writerToken = ""] = await logIn(serve.address, ["writer"]);
  const writer = connect(serve.address, writerToken);
  const sent: Accepted[] = [];
  const witness = connect(serve.address, mine);
  for (const groupId of groupIds) await witness.groups.createGroup({ groupId, memberIds: ["alice", "bob"] });
  const node = { grpc: serve.address, http: serve.httpAddress };
  const nginx = nginxMissing === undefined ? await startNginx([node, node, node]) : undefined;
  let ended: number | NodeJS.Signals | undefined;
  void serve.exited.then((how) => {
    ended = how;
  });
  let seen = 0;
  return {
    serve,
    nginx,
    token,
    writer,
    accepted: sent,
    get ended() {
      return ended;
    },
    newProblems() {
      const problems = serve.problems().slice(seen);
      seen += problems.length;
      return problems;
    },
    async unreadable() {
      const found = await readBack(
        { grpc: serve.address, http: serve.httpAddress },
        "writer",
        sent.splice(0),
      ).catch((error: unknown) => [String(error)]);
      return found.map((each) => (typeof each === "string" ? each : inWords(each)));
    },
    async expectServed() {
      await witness.chat.sendDirect({ recipientId: "anyone", content: text("still here") });
    },
    async close() {
      witness.close();
      writer.close();
      await nginx?.close();
      await serve.kill();
      dataDir.remove();
    },
  };
}

function inWords({ where, messageId, found }: Unreadable): string {
  return `${where}: ${messageId} was read as ${String(found)}`;
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

/** Sends bytes and returns what is answered until the other side closes, or patience ends. */
function exchange(socket: Socket, bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const timer = setTimeout(() => socket.destroy(), patienceMs);
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      answer += chunk;
      // A stream: its first bytes tell enough.
      if (/^transfer-encoding: chunked\r$/im.test(answer) && answer.includes("ndjson")) socket.destroy();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(answer);
    });
    socket.write(bytes);
    // What it sent may lack its end.
    socket.end();
  });
}

const overHttp1: Kind<string> = {
  name: "HTTP/1.1",
  cases: httpRequest,
  async run({ serve, token }, request) {
    const bytes = Buffer.from(request.replaceAll("TOKEN", token), "latin1");
    const answer = await exchange(dial(portOf(serve.httpAddress), "127.0.0.1"), bytes);
    return isServerFault(answer) ? answer.slice(0, 500) : undefined;
  },
};

const throughNginx: Kind<string> = {
  name: "HTTP/1.1 through nginx",
  cases: httpRequest,
  async run({ nginx, token }, request) {
    if (nginx === undefined) return undefined;
    const bytes = Buffer.from(request.replaceAll("TOKEN", token), "latin1");
    const { httpPort, certificate } = nginx;
    const tls = { port: httpPort, host: "localhost", ca: certificate.cert, ALPNProtocols: ["http/1.1"] };
    await exchange(dialTls(tls), bytes);
    return undefined;
  },
};

const overHttp2: Kind<[string, string][]> = {
  name: "HTTP/2",
  cases: headerList,
  async run({ serve, token }, list) {
    const block = headerFields(list.map(([name, value]) => [name, value.replaceAll("TOKEN", token)]));
    for (const address of [serve.address, serve.httpAddress]) {
      const peer = await FramePeer.connect(address);
      const settled = () => peer.closed || peer.received.some(({ streamId }) => streamId === 1);
      peer.send(FrameType.HEADERS, 4, 1, block);
      peer.send(FrameType.DATA, 1, 1, Buffer.alloc(5));
      const untilMs = performance.now() + patienceMs;
      while (!settled() && performance.now() < untilMs)
        await new Promise((resolve) => setTimeout(resolve, 2));
      peer.destroy();
    }
    return undefined;
  },
};

const calls: Kind<{ path: string; request: Uint8Array }> = {
  name: "gRPC",
  cases: anyCall,
  async run({ serve, token }, { path, request }) {
    const client = createRawClient(serve.address, { authorization: `Bearer ${token}` });
    try {
      const code = (await client.unary(path, request))?.code;
      return code !== undefined && serverFaults.includes(code) ? code : undefined;
    } finally {
      client.close();
    }
  },
};

/** Sends what the schema allows and what it does not; what is accepted has to be readable by everyone. */
const contents: Kind<Uint8Array> = {
  name: "contents",
  cases: bytesOf(SendDirectRequestSchema),
  async run({ writer, accepted: sent }, bytes) {
    const request = { ...fromBinary(SendDirectRequestSchema, bytes), clientMessageId: "" };
    try {
      const { result } = await writer.chat.sendDirect(request);
      sent.push(accepted("writer", request as never, result));
      return undefined;
    } catch (error) {
      const { code } = error as { code?: number };
      return code !== undefined && serverFaults.includes(Status[code] as string) ? Status[code] : undefined;
    }
  },
};

const kinds = [overHttp1, throughNginx, overHttp2, calls, contents] as const;
