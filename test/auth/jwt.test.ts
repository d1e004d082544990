import { createHmac, generateKeyPairSync } from "node:crypto";
import { SignJWT } from "jose";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createJwtVerifier, type JwtOptions } from "../../src/auth/jwt.ts";
import { mintToken } from "../../src/auth/mint.ts";
import { ChatError, ErrorReason } from "../../src/model/errors.ts";

const secret = "a secret of the tests that is long enough";
const nowSeconds = () => Math.floor(Date.now() / 1000);

/** Makes a token by hand, so that it can be as wrong as it likes. */
function token(
  claims: object,
  header: object = { alg: "HS256", typ: "JWT" },
  key: string | Buffer = secret,
): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
}

const good = () => ({ sub: "alice", iat: nowSeconds(), exp: nowSeconds() + 60 });

async function verify(text: string, options: Partial<JwtOptions> = {}) {
  return createJwtVerifier({ secret, ...options }).verify({ kind: "token", token: text });
}

async function refusal(text: string, options: Partial<JwtOptions> = {}): Promise<ChatError> {
  const error = await verify(text, options).then(
    (identity) => expect.unreachable(`was accepted as ${identity.userId}`),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ChatError);
  return error as ChatError;
}

describe("a token", () => {
  test("proves its user until it expires", async () => {
    const claims = good();
    expect(await verify(token(claims))).toEqual({
      userId: "alice",
      expireTimeMs: claims.exp * 1000,
      issueTimeMs: claims.iat * 1000,
    });
  });

  test("may be minted for development", async () => {
    const text = await mintToken({ userId: "bøb", secret, ttlSeconds: 60, issuer: "app", audience: "chat" });
    const identity = await verify(text, { issuer: "app", audience: "chat", maxAgeSeconds: 60 });
    expect(identity.userId).toBe("bøb");
    expect(identity.expireTimeMs - identity.issueTimeMs).toBe(60_000);
  });

  test("may leave out when it was issued", async () => {
    const { iat: _, ...claims } = good();
    expect((await verify(token(claims))).issueTimeMs).toBe(0);
  });

  test("may be for several audiences, ours among them", async () => {
    expect((await verify(token({ ...good(), aud: ["mail", "chat"] }), { audience: "chat" })).userId).toBe(
      "alice",
    );
  });

  test("that would outlive every timestamp expires with the last one", async () => {
    expect((await verify(token({ ...good(), exp: 1e300 }))).expireTimeMs).toBe(253_402_300_799_999);
  });

  test("that has expired is refused as expired", async () => {
    expect((await refusal(token({ ...good(), exp: nowSeconds() - 6 }))).reason).toBe(
      ErrorReason.TOKEN_EXPIRED,
    );
  });

  test("gets some seconds for clocks that differ", async () => {
    expect((await verify(token({ ...good(), exp: nowSeconds() - 2 }))).userId).toBe("alice");
    expect((await verify(token({ ...good(), nbf: nowSeconds() + 3 }))).userId).toBe("alice");
  });

  test("issued too long ago is refused as expired, where that is set", async () => {
    const old = token({ ...good(), iat: nowSeconds() - 100 });
    expect((await refusal(old, { maxAgeSeconds: 60 })).reason).toBe(ErrorReason.TOKEN_EXPIRED);
    expect((await verify(old, { maxAgeSeconds: 600 })).userId).toBe("alice");
  });

  const publicKey = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({
    type: "spki",
    format: "pem",
  });
  const unsigned = (alg: string) => token(good(), { alg }).replace(/[^.]*$/, "");

  const bad: Record<string, () => string> = {
    "with alg none and no signature": () => unsigned("none"),
    "with alg None": () => unsigned("None"),
    "with alg none and a signature": () => token(good(), { alg: "none" }),
    "with HS256 and no signature": () => unsigned("HS256"),
    "with another algorithm": () => token(good(), { alg: "HS512" }),
    "with RS256 in its header": () => token(good(), { alg: "RS256" }),
    "without an algorithm": () => token(good(), {}),
    "signed with another secret": () => token(good(), undefined, `${secret}!`),
    "signed with a public key": () => token(good(), undefined, publicKey),
    "changed after signing": () => {
      const [header, , signature] = token(good()).split(".");
      return [header, token({ ...good(), sub: "root" }).split(".")[1], signature].join(".");
    },
    "without exp": () => token({ ...good(), exp: undefined }),
    "with an exp that is text": () => token({ ...good(), exp: "2999-01-01" }),
    "without sub": () => token({ ...good(), sub: undefined }),
    "with a sub that is a number": () => token({ ...good(), sub: 7 }),
    "with an empty sub": () => token({ ...good(), sub: "" }),
    "with a sub that is no user id": () => token({ ...good(), sub: "alice\n" }),
    "with half a surrogate pair as sub": () => token({ ...good(), sub: "\ud800" }),
    "that is not valid yet": () => token({ ...good(), nbf: nowSeconds() + 60 }),
    "issued in the future": () => token({ ...good(), iat: nowSeconds() + 60 }),
    "for an audience, where none is set": () => token({ ...good(), aud: "mail" }),
    "for several audiences, where none is set": () => token({ ...good(), aud: ["mail", "chat"] }),
    "for 10,000 audiences": () =>
      token({ ...good(), aud: Array.from({ length: 10_000 }, (_, i) => `a${i}`) }),
    "with a path as kid and a wrong signature": () =>
      token(good(), { alg: "HS256", kid: "../../etc/passwd" }, "x"),
    "with SQL as kid and a wrong signature": () => token(good(), { alg: "HS256", kid: "' or 1=1 --" }, "x"),
    "with an address for its key": () => token(good(), { alg: "HS256", jku: "http://127.0.0.1:9/keys" }, "x"),
    "with a critical extension": () => token(good(), { alg: "HS256", crit: ["exp2"], exp2: 1 }),
    "with an encoding of its own": () => token(good(), { alg: "HS256", crit: ["b64"], b64: false }),
    "with a header that is no JSON": () => `bm90IGpzb24.${token(good()).split(".").slice(1).join(".")}`,
    "with claims that are a list": () => token([]),
    "of two parts": () => token(good()).split(".").slice(0, 2).join("."),
    "of five parts, as if encrypted": () => `${token(good())}.a.b`,
    "that is empty": () => "",
    "that is no token": () => "hello",
    "of 100 KB": () => "a".repeat(100_000),
  };

  beforeEach(() =>
    vi.stubGlobal(
      "fetch",
      vi.fn(() => expect.unreachable("fetched something")),
    ),
  );
  afterEach(() => vi.unstubAllGlobals());

  test.each(Object.entries(bad))("%s is not valid", async (_, make) => {
    const text = make();
    const error = await refusal(text);
    expect(error.reason).toBe(ErrorReason.INVALID_TOKEN);
    expect(error.message).toBe("the token is not valid for this server");
    // What goes to the log tells the flaw, and nothing of the token.
    expect(error.details.cause).toEqual(expect.any(String));
    for (const part of text.split(".").filter((each) => each.length > 3)) {
      expect(error.details.cause).not.toContain(part);
    }
    expect(fetch).not.toHaveBeenCalled();
  });

  test("of another issuer or audience is not valid", async () => {
    const ours = { issuer: "app", audience: "chat" };
    for (const claims of [
      { iss: "app" },
      { aud: "chat" },
      { iss: "other", aud: "chat" },
      { iss: "app", aud: ["mail"] },
    ]) {
      expect((await refusal(token({ ...good(), ...claims }), ours)).reason).toBe(ErrorReason.INVALID_TOKEN);
    }
  });

  test("without iat is not valid where an age is set", async () => {
    const { iat: _, ...claims } = good();
    expect((await refusal(token(claims), { maxAgeSeconds: 60 })).reason).toBe(ErrorReason.INVALID_TOKEN);
  });

  test("of a host that uses another library is taken", async () => {
    const text = await new SignJWT({ name: "Alice", roles: ["x"] })
      .setProtectedHeader({ alg: "HS256", kid: "2026-11" })
      .setSubject("alice")
      .setExpirationTime("2h")
      .sign(Buffer.from(secret));
    expect((await verify(text)).userId).toBe("alice");
  });
});

test("a server that checks tokens does not take a user id alone", async () => {
  const verifier = createJwtVerifier({ secret });
  await expect(verifier.verify({ kind: "devUserId", userId: "alice" })).rejects.toMatchObject({
    reason: ErrorReason.LOGIN_METHOD_DISABLED,
  });
});

test("a secret of less than 32 bytes is refused", () => {
  expect(() => createJwtVerifier({ secret: "x".repeat(31) })).toThrow(RangeError);
});
