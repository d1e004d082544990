import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { ClientError, Status } from "nice-grpc";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CloseReason } from "../../gen/parlance/chat/v1/event_pb.js";
import { mintToken } from "../../src/auth/mint.ts";
import { failureOf } from "../support/errors.ts";
import { eventually } from "../support/eventually.ts";
import { startTestServer, type TestServer, text } from "../support/server.ts";
import type { TestStream } from "../support/test-stream.ts";
import { createRawClient } from "./raw-calls.ts";
import { refusal } from "./refusal.ts";

const secret = "a secret of the host's, of at least 32 bytes";
const spokenInSecret = "words that no log may repeat";

let dev: TestServer;
let jwt: TestServer;
/** Every token that was used, to be looked for in the logs. */
const tokens = new Set<string>([secret]);

beforeAll(async () => {
  [dev, jwt] = await Promise.all([startTestServer(), startTestServer({ auth: "jwt", jwtSecret: secret })]);
});
afterAll(() => Promise.all([dev.close(), jwt.close()]));

const nowSeconds = () => Math.floor(Date.now() / 1000);
const base64 = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
const claims = () => ({ sub: "alice", iat: nowSeconds(), exp: nowSeconds() + 600 });

function bearer(token: string): Record<string, string> {
  tokens.add(token);
  return { authorization: `Bearer ${token}` };
}

function mint(userId: string, ttlSeconds = 600): Promise<string> {
  return mintToken({ userId, ttlSeconds, secret });
}

/** Signs anything with the right secret. */
function signed(header: object, payload: object, key = secret): string {
  const input = `${base64(header)}.${base64(payload)}`;
  return `${input}.${createHmac("sha256", key).update(input).digest("base64url")}`;
}

/** What a call is answered that shows this metadata. */
function answerTo(server: TestServer, metadata: Record<string, string>) {
  return failureOf((o) => server.as(metadata).conversations.listConversations({}, o));
}

/** The code that a stream ended with; undefined when it ended well. */
async function endOf(stream: TestStream) {
  const error = await stream.ended;
  return error instanceof ClientError ? Status[error.code] : error;
}

const hs256 = { alg: "HS256", typ: "JWT" };
const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const rsaPublic = rsa.publicKey.export({ type: "spki", format: "pem" }).toString();

function rs256(payload: object): string {
  const input = `${base64({ alg: "RS256", typ: "JWT" })}.${base64(payload)}`;
  return `${input}.${sign("sha256", Buffer.from(input), rsa.privateKey).toString("base64url")}`;
}

const invalidTokens: Record<string, () => string> = {
  "is no JWT": () => "nonsense",
  "has two parts": () => signed(hs256, claims()).split(".").slice(0, 2).join("."),
  "has four parts": () => `${signed(hs256, claims())}.x`,
  "is signed with another secret": () => signed(hs256, claims(), `${secret}!`),
  "is signed with an empty secret": () => signed(hs256, claims(), ""),
  "is not signed": () => `${base64(hs256)}.${base64(claims())}.`,
  "was changed after it was signed": () => {
    const [header, , signature] = signed(hs256, claims()).split(".");
    return `${header}.${base64({ ...claims(), sub: "admin" })}.${signature}`;
  },
  "says alg none": () => `${base64({ alg: "none" })}.${base64(claims())}.`,
  "says alg nOnE": () => `${base64({ alg: "nOnE" })}.${base64(claims())}.`,
  "says alg none and is signed": () => signed({ alg: "none" }, claims()),
  "says RS256 and is signed with the HS256 secret": () => signed({ alg: "RS256" }, claims()),
  "is signed with somebody's RS256 key": () => rs256(claims()),
  "is signed with a public key as HS256 secret": () => signed(hs256, claims(), rsaPublic),
  "says HS512": () => signed({ alg: "HS512" }, claims()),
  "has no alg": () => signed({ typ: "JWT" }, claims()),
  "asks for an extension nobody knows": () => signed({ ...hs256, crit: ["x"], x: 1 }, claims()),
  "has no exp": () => signed(hs256, { sub: "alice", iat: nowSeconds() }),
  "has text as exp": () => signed(hs256, { ...claims(), exp: "never" }),
  "has no sub": () => signed(hs256, { ...claims(), sub: undefined }),
  "has an empty sub": () => signed(hs256, { ...claims(), sub: "" }),
  "has a number as sub": () => signed(hs256, { ...claims(), sub: 7 }),
  "has a list as sub": () => signed(hs256, { ...claims(), sub: ["alice", "admin"] }),
  "has a sub with a newline": () => signed(hs256, { ...claims(), sub: "alice\n" }),
  "has a sub with an RTL override": () => signed(hs256, { ...claims(), sub: "alice\u202e" }),
  "has a sub of 129 bytes": () => signed(hs256, { ...claims(), sub: "a".repeat(129) }),
  "has a sub with half a surrogate pair": () => signed(hs256, { ...claims(), sub: "a\ud800" }),
  "is not good yet": () => signed(hs256, { ...claims(), nbf: nowSeconds() + 600 }),
  "was issued in the future": () => signed(hs256, { ...claims(), iat: nowSeconds() + 600 }),
  "is meant for an audience": () => signed(hs256, { ...claims(), aud: "other" }),
  "is meant for 10 audiences": () =>
    signed(hs256, { ...claims(), aud: Array.from({ length: 10 }, (_, i) => `${i}`) }),
  "is meant for 1,000 audiences": () => signed(hs256, { ...claims(), aud: Array(1_000).fill("a") }),
  "is an empty object": () => signed(hs256, {}),
  "holds no object": () => {
    const input = `${base64(hs256)}.${Buffer.from("[]").toString("base64url")}`;
    return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
  },
  "looks like a session token": () => "parlance_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
  "is only the prefix of one": () => "parlance_",
};

describe("a token that", () => {
  test.each(Object.entries(invalidTokens))(
    "B41: %s is refused, as bearer and by Login, with one answer for all",
    async (_, make) => {
      const token = make();
      const asBearer = await answerTo(jwt, bearer(token));
      expect(asBearer).toMatchObject(refusal("UNAUTHENTICATED", "INVALID_TOKEN"));
      const atLogin = await failureOf((o) =>
        jwt.as({}).chat.login({ credential: { case: "token", value: token } }, o),
      );
      expect(atLogin).toMatchObject({
        ...refusal("UNAUTHENTICATED", "INVALID_TOKEN"),
        message: "the token is not valid for this server",
        metadata: {},
      });
      expect(asBearer.message).not.toContain(token);
    },
  );

  test("has expired is refused as such", async () => {
    const token = signed(hs256, { ...claims(), iat: nowSeconds() - 60, exp: nowSeconds() - 30 });
    const expired = refusal("UNAUTHENTICATED", "TOKEN_EXPIRED");
    expect(await answerTo(jwt, bearer(token))).toMatchObject(expired);
    expect(
      await failureOf((o) => jwt.as({}).chat.login({ credential: { case: "token", value: token } }, o)),
    ).toMatchObject(expired);
  });

  test.each(["../../../../dev/null", "../../etc/passwd", "' OR 1=1 --", "\0", "http://127.0.0.1/jwks"])(
    "B41: names the key %j is checked with the server's own key",
    async (kid) => {
      const header = { ...hs256, kid, jku: kid, x5u: kid };
      expect(await answerTo(jwt, bearer(signed(header, claims(), "")))).toMatchObject(
        refusal("UNAUTHENTICATED", "INVALID_TOKEN"),
      );
      await jwt.as(bearer(signed(header, claims()))).conversations.listConversations({});
    },
  );

  test("B40, B41: is longer than 8 KB is refused, even if it is rightly signed", async () => {
    for (const claim of [{ padding: "x".repeat(8_192) }, { aud: Array(10_000).fill("") }]) {
      const token = signed(hs256, { ...claims(), ...claim });
      expect(await answerTo(jwt, bearer(token))).toMatchObject(refusal("UNAUTHENTICATED", "INVALID_TOKEN"));
      expect(
        await failureOf((o) => jwt.as({}).chat.login({ credential: { case: "token", value: token } }, o)),
      ).toMatchObject(refusal("INVALID_ARGUMENT", "INVALID_REQUEST", "token"));
    }
  });

  test("B40: is longer than 16 KB does not even arrive, and the server goes on", async () => {
    const failure = await answerTo(jwt, bearer("x".repeat(70_000)));
    expect(failure.code).not.toBe("OK");
    const carol = jwt.as(bearer(await mint("carol")));
    await carol.conversations.listConversations({});
  });
});

describe("the metadata authorization", () => {
  test.each([
    ["Bearer", "INVALID_TOKEN"],
    // HTTP/2 forbids space at the end of a value (RFC 9113 section 8.2.1): it is as if it were not sent.
    ["Bearer ", "MISSING_TOKEN"],
    ["Bearer  ", "MISSING_TOKEN"],
    ["Bearer  x", "INVALID_TOKEN"],
    ["Basic YWxpY2U6", "INVALID_TOKEN"],
    ["Token x", "INVALID_TOKEN"],
    ["bearerx", "INVALID_TOKEN"],
    ["", "INVALID_TOKEN"],
  ] as const)("B40: %j holds no token", async (authorization, reason) => {
    expect(await answerTo(jwt, { authorization })).toMatchObject(refusal("UNAUTHENTICATED", reason));
  });

  test("has to be there", async () => {
    const missing = refusal("UNAUTHENTICATED", "MISSING_TOKEN");
    expect(await answerTo(dev, {})).toMatchObject(missing);
    expect(await failureOf((o) => dev.as({}).chat.listen({}, o))).toMatchObject(missing);
    const none = (async function* () {})();
    expect(await failureOf((o) => dev.as({}).chat.stream(none, o))).toMatchObject(missing);
  });

  test.each(["bearer", "BEARER", "bEaReR"])("B40: may write its scheme as %s", async (scheme) => {
    const { token } = await dev.login("alice");
    tokens.add(token);
    await dev.as({ authorization: `${scheme} ${token}` }).conversations.listConversations({});
  });

  test("is checked before the request is looked at", async () => {
    const client = createRawClient(dev.address, {});
    const failure = await client.unary("/parlance.chat.v1.ChatService/SendDirect", Uint8Array.of(0x0f));
    expect(failure).toMatchObject(refusal("UNAUTHENTICATED", "MISSING_TOKEN"));
    client.close();
  });

  test("B40: with control characters never leaves the client", async () => {
    const { token } = await dev.login("alice");
    tokens.add(token);
    for (const value of [`Bearer ${token}\r\nx-parlance-user: admin`, `Bearer ${token}\0`])
      expect(() => dev.as({ authorization: value })).toThrow();
  });
});

describe("ways to log in", () => {
  test("a server that asks for tokens takes no dev_user_id", async () => {
    expect(
      await failureOf((o) => jwt.as({}).chat.login({ credential: { case: "devUserId", value: "alice" } }, o)),
    ).toMatchObject(refusal("UNAUTHENTICATED", "LOGIN_METHOD_DISABLED"));
  });

  test("a server without a secret takes no tokens, whatever they are", async () => {
    for (const token of [await mint("alice"), `${base64({ alg: "none" })}.${base64(claims())}.`]) {
      const disabled = refusal("UNAUTHENTICATED", "LOGIN_METHOD_DISABLED");
      expect(
        await failureOf((o) => dev.as({}).chat.login({ credential: { case: "token", value: token } }, o)),
      ).toMatchObject(disabled);
      expect(await answerTo(dev, bearer(token))).toMatchObject(disabled);
    }
  });

  test("a login without a credential is refused", async () => {
    expect(await failureOf((o) => dev.as({}).chat.login({}, o))).toMatchObject(
      refusal("INVALID_ARGUMENT", "INVALID_REQUEST", "credential"),
    );
  });

  test("a token of the host is good as bearer, and parlance-device names the device", async () => {
    const token = await mint("direct");
    const [phone, laptop] = ["phone", "laptop"].map((id) =>
      jwt.as({ ...bearer(token), "parlance-device": id }),
    );
    const streams = [phone?.stream(), laptop?.stream()];
    for (const stream of streams) await stream?.open();
    const sender = jwt.as(bearer(await mint("sender")));
    await sender.chat.sendDirect({ recipientId: "direct", content: text(spokenInSecret) });
    for (const stream of streams) {
      await stream?.next("message");
      expect(stream?.all("closed")).toEqual([]);
      stream?.cancel();
    }
    await eventually(() => jwt.server.stats().sessions === 0);
  });

  test("who can log in can be written to", async () => {
    const sub = "\ufeffmarked";
    const marked = jwt.as(bearer(signed(hs256, { ...claims(), sub })));
    await marked.conversations.listConversations({});
    const sender = jwt.as(bearer(await mint("sender")));
    await sender.chat.sendDirect({ recipientId: sub, content: text(spokenInSecret) });
  });

  test("a parlance-device of 129 characters is refused", async () => {
    const metadata = { ...bearer(await mint("alice")), "parlance-device": "x".repeat(129) };
    expect(await answerTo(jwt, metadata)).toMatchObject(refusal("INVALID_ARGUMENT", "INVALID_METADATA"));
  });

  test("metadata in which a proxy would vouch for a user makes nobody another user", async () => {
    const { token } = await dev.login("mallory");
    tokens.add(token);
    const forged = dev.as({
      ...bearer(token),
      "x-parlance-user": "alice",
      "x-parlance-user-id": "alice",
      "x-forwarded-user": "alice",
      "parlance-call-id": "1",
    });
    const { result } = await forged.chat.sendDirect({ recipientId: "bob", content: text(spokenInSecret) });
    expect(result?.conversationId).toBe("d:bob:mallory");
  });
});

describe("after a logout", () => {
  test("the session token is refused, and those of other devices are not", async () => {
    const [phone, laptop] = await Promise.all([dev.login("logger", "phone"), dev.login("logger", "laptop")]);
    for (const { token } of [phone, laptop]) tokens.add(token);
    await phone.chat.logout({});
    expect(await answerTo(dev, bearer(phone.token))).toMatchObject(
      refusal("UNAUTHENTICATED", "INVALID_TOKEN"),
    );
    expect(await failureOf((o) => phone.chat.logout({}, o))).toMatchObject(
      refusal("UNAUTHENTICATED", "INVALID_TOKEN"),
    );
    await laptop.conversations.listConversations({});
  });

  test("the device's stream gets closed LOGGED_OUT, ends as such, and hears nothing more", async () => {
    const [phone, laptop, friend] = await Promise.all([
      dev.login("leaver", "phone"),
      dev.login("leaver", "laptop"),
      dev.login("friend"),
    ]);
    for (const { token } of [phone, laptop, friend]) tokens.add(token);
    const [ending, staying] = [phone.stream(), laptop.stream()];
    for (const stream of [ending, staying]) await stream.open();
    expect(await phone.chat.logout({})).toMatchObject({ closedSessions: 1 });
    await friend.chat.sendDirect({ recipientId: "leaver", content: text(spokenInSecret) });
    expect(await endOf(ending)).toBe("UNAUTHENTICATED");
    expect(ending.events.at(-1)?.event).toMatchObject({
      case: "closed",
      value: { reason: CloseReason.LOGGED_OUT },
    });
    expect(ending.texts()).toEqual([]);
    await staying.next("message");
    expect(staying.all("closed")).toEqual([]);
    staying.cancel();
  });

  test("a stream's status says SESSION_LOGGED_OUT", async () => {
    const user = await dev.login("reasoned");
    tokens.add(user.token);
    const failure = failureOf((o) => user.chat.listen({}, o));
    await eventually(() => dev.server.stats().sessions === 1);
    await user.chat.logout({});
    expect(await failure).toMatchObject(refusal("UNAUTHENTICATED", "SESSION_LOGGED_OUT"));
  });

  test("of all devices no token and no stream of the user is left, and nobody else is touched", async () => {
    const devices = await Promise.all(["a", "b", "c"].map((id) => dev.login("everywhere", id)));
    const witness = await dev.login("witness");
    for (const { token } of [...devices, witness]) tokens.add(token);
    const streams = devices.map((device) => device.stream());
    const watching = witness.stream();
    for (const stream of [...streams, watching]) await stream.open();
    expect(await devices[0]?.chat.logout({ allDevices: true })).toMatchObject({ closedSessions: 3 });
    for (const stream of streams) {
      expect(await endOf(stream)).toBe("UNAUTHENTICATED");
      expect(stream.all("closed")).toMatchObject([{ reason: CloseReason.LOGGED_OUT }]);
    }
    for (const { token } of devices)
      expect(await answerTo(dev, bearer(token))).toMatchObject(refusal("UNAUTHENTICATED", "INVALID_TOKEN"));
    expect(watching.all("closed")).toEqual([]);
    watching.send({ case: "ping", value: {} });
    await watching.next("pong");
    watching.cancel();
    const again = await dev.login("everywhere", "a");
    tokens.add(again.token);
    await again.conversations.listConversations({});
  });

  test("a stream that was called before, or is being opened meanwhile, does not stay open", async () => {
    const user = await dev.login("patient");
    tokens.add(user.token);
    const waiting = user.stream();
    // Its token is seen to be good, and its session not yet opened.
    waiting.send({ case: undefined }, "nothing");
    await waiting.next("refusal");
    await user.chat.logout({});
    waiting.send({ case: "open", value: {} });
    const opened = waiting.next("opened").then(() => "opened");
    const outcome = await Promise.race([endOf(waiting), opened.catch(() => endOf(waiting))]);
    waiting.cancel();
    expect(outcome).toBe("UNAUTHENTICATED");

    await eventually(() => dev.server.stats().sessions === 0);
    const streams: TestStream[] = [];
    try {
      for (let i = 0; i < 30; i++) {
        const racer = await dev.login(`racer-${i}`);
        tokens.add(racer.token);
        const stream = racer.stream();
        streams.push(stream.send({ case: "open", value: {} }));
        // At another moment of the opening each time.
        for (let turn = 0; turn < i; turn++) await new Promise((resolve) => setImmediate(resolve));
        await racer.chat.logout({});
      }
      await eventually(() => dev.server.stats().sessions === 0);
    } finally {
      for (const stream of streams) stream.cancel();
    }
  });

  test("a host's token issued before is refused for that device, and one issued later is good", async () => {
    const before = signed(hs256, { ...claims(), sub: "hosted", iat: nowSeconds() - 10 });
    const onPhone = { ...bearer(before), "parlance-device": "phone" };
    const onLaptop = { ...bearer(before), "parlance-device": "laptop" };
    await jwt.as(onLaptop).conversations.listConversations({});
    await jwt.as(onPhone).chat.logout({});
    expect(await answerTo(jwt, onPhone)).toMatchObject(refusal("UNAUTHENTICATED", "SESSION_LOGGED_OUT"));
    await jwt.as(onLaptop).conversations.listConversations({});
    const later = signed(hs256, { ...claims(), sub: "hosted", iat: nowSeconds() + 2 });
    await jwt.as({ ...bearer(later), "parlance-device": "phone" }).conversations.listConversations({});
    await jwt.as(onLaptop).chat.logout({ allDevices: true });
    for (const device of ["phone", "laptop", "never-seen"])
      expect(await answerTo(jwt, { ...bearer(before), "parlance-device": device })).toMatchObject(
        refusal("UNAUTHENTICATED", "SESSION_LOGGED_OUT"),
      );
  });

  test("a host's token without iat is refused when it was seen before", async () => {
    const { iat: _, ...undated } = claims();
    const token = signed(hs256, { ...undated, sub: "undated" });
    await jwt.as(bearer(token)).conversations.listConversations({});
    await jwt.as(bearer(token)).chat.logout({});
    expect(await answerTo(jwt, bearer(token))).toMatchObject(
      refusal("UNAUTHENTICATED", "SESSION_LOGGED_OUT"),
    );
  });

  test("of all devices a host's token issued before logs nobody in", async () => {
    const token = signed(hs256, { ...claims(), sub: "revoked", iat: nowSeconds() - 10 });
    await jwt.as(bearer(token)).chat.logout({ allDevices: true });
    expect(
      await failureOf((o) => jwt.as({}).chat.login({ credential: { case: "token", value: token } }, o)),
    ).toMatchObject(refusal("UNAUTHENTICATED", "SESSION_LOGGED_OUT"));
  });
});

describe("a token that expires", () => {
  test("while a stream is open ends the stream with closed TOKEN_EXPIRED, and no other stream", async () => {
    const long = jwt.as({ ...bearer(await mint("expiring")), "parlance-device": "long" });
    const token = signed(hs256, { ...claims(), sub: "expiring", exp: nowSeconds() + 2 });
    const short = jwt.as({ ...bearer(token), "parlance-device": "short" });
    const [ending, staying] = [short.stream(), long.stream()];
    await Promise.all([ending.open(), staying.open()]);
    expect(await endOf(ending)).toBe("UNAUTHENTICATED");
    expect(ending.events.at(-1)?.event).toMatchObject({
      case: "closed",
      value: { reason: CloseReason.TOKEN_EXPIRED },
    });
    await long.chat.sendDirect({ recipientId: "bob", content: text(spokenInSecret) });
    await staying.next("message");
    expect(ending.texts()).toEqual([]);
    staying.cancel();
    // Within the clock tolerance it still verifies, but the caller that is known has expired.
    expect(await answerTo(jwt, { ...bearer(token), "parlance-device": "short" })).toMatchObject(
      refusal("UNAUTHENTICATED", "TOKEN_EXPIRED"),
    );
  });

  test("ends the session that was logged in with it, and no later", async () => {
    const token = await mint("brief", 60);
    tokens.add(token);
    const { sessionToken, expireTime } = await jwt
      .as({})
      .chat.login({ credential: { case: "token", value: token } });
    tokens.add(sessionToken);
    expect(Number(expireTime?.seconds)).toBeLessThanOrEqual(nowSeconds() + 60);
  });
});

test("no token, no secret and no word of a message is in the logs", async () => {
  const lines = [...dev.logs, ...jwt.logs].map((line) => JSON.stringify(line));
  expect(lines.length).toBeGreaterThan(100);
  const long = [...tokens].filter((token) => token.length > 10);
  expect(long.length).toBeGreaterThan(50);
  const told = lines.filter(
    (line) => line.includes(spokenInSecret) || long.some((token) => line.includes(token)),
  );
  expect(told).toEqual([]);
  expect(lines.filter((line) => line.includes("eyJ"))).toEqual([]);
});
