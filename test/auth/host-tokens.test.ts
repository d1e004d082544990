/** Host tokens around a logout, and how old they may become. */

import { createHmac } from "node:crypto";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CloseReason } from "../../gen/parlance/chat/v1/event_pb.js";
import type { Clients } from "../support/clients.ts";
import { failureOf } from "../support/errors.ts";
import { eventually } from "../support/eventually.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

const secret = "a secret of the tests that is long enough";
const nowSeconds = () => Math.floor(Date.now() / 1000);

function signed(claims: object): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const input = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
}

let jwt: TestServer;
/** Takes tokens for a minute after they were issued. */
let brief: TestServer;
const maxAgeSeconds = 60;
beforeAll(async () => {
  [jwt, brief] = await Promise.all([
    startTestServer({ auth: "jwt", jwtSecret: secret }),
    startTestServer({ auth: "jwt", jwtSecret: secret, jwtMaxAgeSeconds: maxAgeSeconds }),
  ]);
});
afterAll(() => Promise.all([jwt.close(), brief.close()]));

let users = 0;
/** Makes tokens of a new user. */
function host() {
  const sub = `host-user-${++users}`;
  return (iat: number | undefined = nowSeconds()) =>
    signed({ sub, exp: nowSeconds() + 600, jti: `${Math.random()}`, ...(iat > 0 && { iat }) });
}
const undated = 0;

function bearer(server: TestServer, token: string, deviceId = "phone"): Clients {
  return server.as({ authorization: `Bearer ${token}`, "parlance-device": deviceId });
}

function login(server: TestServer, token: string) {
  return server.as({}).chat.login({
    credential: { case: "token", value: token },
    device: { deviceId: "phone" },
  });
}

/** The reason a login with the token is refused with. */
async function loginStanding(server: TestServer, token: string): Promise<string> {
  const { chat } = server.as({});
  const { reasonName } = await failureOf((o) =>
    chat.login({ credential: { case: "token", value: token }, device: { deviceId: "phone" } }, o),
  );
  return reasonName;
}

/** The reason a call with the token is refused with, or "OK". */
function standing({ conversations }: Clients): Promise<string> {
  return failureOf((o) => conversations.listConversations({}, o)).then(
    ({ reasonName }) => reasonName,
    () => "OK",
  );
}

describe("after a Logout", () => {
  test("a token issued in the second of the logout is good, 20 times of 20", async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const token = host();
        const first = bearer(jwt, token(nowSeconds() - 60));
        expect(await standing(first)).toBe("OK");
        await first.chat.logout({});
        const last = await standing(bearer(jwt, token()));
        return [last, await standing(first)];
      }),
    );
    expect(outcomes).toEqual(outcomes.map(() => ["OK", "SESSION_LOGGED_OUT"]));
  });

  test("the token it was called with is refused, however new it was", async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const clients = bearer(jwt, host()());
        expect(await standing(clients)).toBe("OK");
        await clients.chat.logout({ allDevices: i % 2 === 0 });
        return standing(clients);
      }),
    );
    expect(new Set(outcomes)).toEqual(new Set(["SESSION_LOGGED_OUT"]));
  });

  test("the token a session was made from opens no other, however new it was", async () => {
    const token = host()();
    const { sessionToken } = await login(jwt, token);
    await jwt.as({ authorization: `Bearer ${sessionToken}` }).chat.logout({});
    expect(await loginStanding(jwt, token)).toBe("SESSION_LOGGED_OUT");
    expect(await standing(bearer(jwt, token))).toBe("SESSION_LOGGED_OUT");
  });

  test("a token without iat is refused when it was seen before, and good when it is new", async () => {
    const token = host();
    const old = token(undated);
    expect(await standing(bearer(jwt, old))).toBe("OK");
    await bearer(jwt, old).chat.logout({});
    expect(await standing(bearer(jwt, old))).toBe("SESSION_LOGGED_OUT");
    expect(await standing(bearer(jwt, token(undated)))).toBe("OK");
    expect((await login(jwt, token(undated))).userId).toContain("host-user");
  });
});

describe("jwtMaxAgeSeconds", () => {
  test("ends tokens, also those that are known already, and the sessions and streams made from them", async () => {
    const issued = nowSeconds() - maxAgeSeconds + 6;
    const token = host()(issued);
    const clients = bearer(brief, token);
    expect(await standing(clients)).toBe("OK");
    const { sessionToken, expireTime } = await login(brief, token);
    expect(expireTime && timestampMs(expireTime)).toBe((issued + maxAgeSeconds) * 1000);
    const session = brief.as({ authorization: `Bearer ${sessionToken}` });
    const streams = [bearer(brief, token, "laptop").stream(), session.stream()];
    for (const stream of streams) await stream.open();
    for (const stream of streams) {
      await stream.ended;
      expect(stream.all("closed")).toMatchObject([{ reason: CloseReason.TOKEN_EXPIRED }]);
    }
    for (const each of [clients, session]) expect(await standing(each)).toBe("TOKEN_EXPIRED");
    // Of a device that never came, nothing is known yet.
    expect(await standing(bearer(brief, token, "another"))).toBe("TOKEN_EXPIRED");
    expect(await loginStanding(brief, token)).toBe("TOKEN_EXPIRED");
  });

  test("holds for a session that was made before it was set", async () => {
    const dated = await startTestServer({ auth: "jwt", jwtSecret: secret });
    try {
      const { sessionToken } = await login(dated, host()());
      const session = () => dated.as({ authorization: `Bearer ${sessionToken}` });
      expect(await standing(session())).toBe("OK");
      await dated.restart({ jwtMaxAgeSeconds: 1 });
      await eventually(async () => (await standing(session())) === "TOKEN_EXPIRED");
    } finally {
      await dated.close();
    }
  });

  test("refuses tokens without iat", async () => {
    expect(await standing(bearer(brief, host()(undated)))).toBe("INVALID_TOKEN");
  });
});
